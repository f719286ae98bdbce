-- With scale: swarm only. Which member writes is decided in the database, so that all agree. Run again where the tables
-- come from a single host (member/start.sh).
CREATE DATABASE IF NOT EXISTS galera;
CREATE TABLE IF NOT EXISTS galera.writer (
  id TINYINT NOT NULL PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  member VARCHAR(64) NOT NULL
) ENGINE=InnoDB;
INSERT IGNORE INTO galera.writer (member) VALUES ('');
-- The user of the container itself, over the socket: asks and claims (state.sh), and copies everything to a member that
-- joins. It reads none of the tables of accounts.
CREATE USER IF NOT EXISTS mysql@localhost IDENTIFIED VIA unix_socket;
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO mysql@localhost;
GRANT SELECT, UPDATE (member) ON galera.writer TO mysql@localhost;
