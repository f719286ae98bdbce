#!/bin/bash
# Fills the document root, writes the configuration from ROUNDCUBEMAIL_* and /run/secrets, prepares the database.
# Like upstream it goes on when the database cannot be prepared; what upstream installs from the internet is refused.

place=/var/www/html
source=/usr/src/roundcubemail

say() { echo >&2 "$*"; }

run_tasks() {
  local phase=$1 task
  shift
  for task in /entrypoint-tasks/"$phase"-setup/*; do
    if [ -f "$task" ] && [ -x "$task" ]; then
      say "running $task"
      "$task" "$@" || exit $?
    fi
  done
}

install_release() {
  if [ -e index.php ] && [ -e bin/initdb.sh ]; then
    say "roundcubemail found in $place - updating"
    rsync --archive --no-times --no-owner --no-group "$source/" "$place/"
  else
    say "roundcubemail not found in $place - copying"
    tar --create --one-file-system --directory "$source" . | tar --extract
  fi
}

load_secrets() {
  local name
  for name in db_user db_password oauth_client_secret; do
    [ ! -f "/run/secrets/roundcube_$name" ] ||
      printf -v "ROUNDCUBEMAIL_${name^^}" '%s' "$(cat "/run/secrets/roundcube_$name")"
  done
}

wait_for_database() {
  local host=$1 port=$2 deadline=$((SECONDS + 30))
  until (: <"/dev/tcp/$host/$port") 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      say "no answer from $host:$port within 30 s"
      return
    fi
    sleep 1
  done
}

# Prints the address of the database in the form that Roundcube reads.
database_dsn() {
  local type=${ROUNDCUBEMAIL_DB_TYPE:-sqlite} default_host default_port
  case $type in
    mysql) default_host=mysql default_port=3306 ;;
    pgsql) default_host=postgres default_port=5432 ;;
    *)
      local folder=${ROUNDCUBEMAIL_DB_DIR:-/var/roundcube/db}
      mkdir -p "$folder"
      echo "sqlite:///$folder/${ROUNDCUBEMAIL_DB_NAME:-sqlite}.db?mode=0646"
      return
      ;;
  esac
  local host=${ROUNDCUBEMAIL_DB_HOST:-$default_host} port=${ROUNDCUBEMAIL_DB_PORT:-$default_port}
  wait_for_database "$host" "$port"
  echo "$type://${ROUNDCUBEMAIL_DB_USER:-root}:$ROUNDCUBEMAIL_DB_PASSWORD@$host:$port/${ROUNDCUBEMAIL_DB_NAME:-roundcubemail}"
}

write_main_config() {
  if [ ! -e config/config.inc.php ]; then
    cat >config/config.inc.php <<PHP
<?php
\$config['plugins'] = [];
\$config['log_driver'] = 'stdout';
\$config['zipdownload_selection'] = true;
\$config['des_key'] = '$(head -c 18 /dev/urandom | base64)';
\$config['enable_spellcheck'] = true;
\$config['spellcheck_engine'] = 'pspell';
include __DIR__ . '/config.docker.inc.php';
PHP
  elif ! grep -q config.docker.inc.php config/config.inc.php; then
    echo "include __DIR__ . '/config.docker.inc.php';" >>config/config.inc.php
  fi
}

write_container_config() {
  local plugins file
  plugins=$(sed -E "s/[, ]+/', '/g" <<<"${ROUNDCUBEMAIL_PLUGINS:-archive,zipdownload}")
  cat <<PHP
<?php
\$config['db_dsnw'] = '$(database_dsn)';
\$config['db_dsnr'] = '${ROUNDCUBEMAIL_DSNR:-}';
\$config['imap_host'] = '${ROUNDCUBEMAIL_DEFAULT_HOST:-localhost}:${ROUNDCUBEMAIL_DEFAULT_PORT:-143}';
\$config['smtp_host'] = '${ROUNDCUBEMAIL_SMTP_SERVER:-localhost}:${ROUNDCUBEMAIL_SMTP_PORT:-587}';
\$config['username_domain'] = '${ROUNDCUBEMAIL_USERNAME_DOMAIN:-}';
\$config['temp_dir'] = '$temp_folder';
\$config['skin'] = '${ROUNDCUBEMAIL_SKIN:-elastic}';
\$config['request_path'] = '${ROUNDCUBEMAIL_REQUEST_PATH:-/}';
\$config['plugins'] = array_filter(array_unique(array_merge(\$config['plugins'], ['$plugins'])));
PHP
  if [ -e /run/secrets/roundcube_des_key ]; then
    echo "\$config['des_key'] = file_get_contents('/run/secrets/roundcube_des_key');"
  elif [ -n "${ROUNDCUBEMAIL_DES_KEY:-}" ]; then
    echo "\$config['des_key'] = getenv('ROUNDCUBEMAIL_DES_KEY');"
  fi
  [ -z "${ROUNDCUBEMAIL_OAUTH_CLIENT_SECRET:-}" ] ||
    echo "\$config['oauth_client_secret'] = '$ROUNDCUBEMAIL_OAUTH_CLIENT_SECRET';"
  for file in /var/roundcube/config/*.php; do
    [ ! -e "$file" ] || echo "include '$file';"
  done
}

set_up() {
  cd "$place" || exit 1
  install_release
  load_secrets
  temp_folder=${ROUNDCUBEMAIL_TEMP_DIR:-/tmp/roundcube-temp}
  if [ -n "${ROUNDCUBEMAIL_COMPOSER_PLUGINS:-}" ] || [ ! -d "skins/${ROUNDCUBEMAIL_SKIN:-elastic}" ]; then
    say "this stand-in has only the plugins and the skin that Roundcube ships"
    exit 1
  fi
  write_main_config
  write_container_config >config/config.docker.inc.php
  bin/initdb.sh --dir="$PWD/SQL" --update ||
    say "the database could not be prepared: start with an empty database and restart the container"
  mkdir -p "$temp_folder"
  # The folder of php settings belongs to root: upstream's nonroot image cannot apply this variable either.
  [ -z "${ROUNDCUBEMAIL_UPLOAD_MAX_FILESIZE:-}" ] ||
    say "ROUNDCUBEMAIL_UPLOAD_MAX_FILESIZE has no effect here: mount a file into /usr/local/etc/php/conf.d"
}

case ${1:-} in
  apache2* | bin*)
    run_tasks pre "$@"
    set_up
    run_tasks post "$@"
    ;;
esac
exec "$@"
