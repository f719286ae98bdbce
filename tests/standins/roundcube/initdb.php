#!/usr/bin/env php
<?php
// Creates Roundcube's tables in an empty database; with --update brings existing ones up to date.
// Debian leaves this program out of its package: it sets databases up by other means.
define('INSTALL_PATH', realpath(__DIR__ . '/..') . '/');
require_once INSTALL_PATH . 'program/include/clisetup.php';

$options = rcube_utils::get_opt(['d' => 'dir', 'u' => 'update:bool']);
$folder = $options['dir'] ?? INSTALL_PATH . 'SQL';
if (!is_dir($folder)) {
    rcube::raise_error("Folder $folder does not exist", false, true);
}
$database = rcmail_utils::db();
if (!in_array($database->table_name('system'), (array) $database->list_tables())) {
    rcmail_utils::db_init($folder);
} elseif (!empty($options['update'])) {
    rcmail_utils::db_update($folder, 'roundcube');
}
