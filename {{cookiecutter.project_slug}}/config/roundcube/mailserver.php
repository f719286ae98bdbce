<?php

// Roundcube, what differs from the image's defaults. The host names of IMAP, SMTP and the database, and the
// secrets, come from docker-compose.yml.

// Connections inside the stack are encrypted, and only to the holder of a certificate of our own authority.
$internal_tls = [
    'ssl' => [
        'verify_peer' => true,
        'verify_peer_name' => true,
        'cafile' => '/run/secrets/internal_ca_crt',
    ],
];
$config['imap_conn_options'] = $internal_tls;
$config['smtp_conn_options'] = $internal_tls;
$config['managesieve_conn_options'] = $internal_tls;
$config['managesieve_host'] = 'tls://dovecot:34190';

// Read at each use, so that a new password (mailctl secrets rotate) needs no restart.
$config['db_dsnw'] = 'mysql://roundcube:' . rawurlencode(trim(file_get_contents('/run/secrets/roundcube_db_password')))
    . '@mariadb/roundcube';

// Each user logs in to SMTP as to IMAP, so that Postfix knows who sends.
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';

// Which names this site has, and whom to believe about the client's address: nginx only.
$config['trusted_host_patterns'] = ['^{{ cookiecutter.webmail_host | replace(".", "\\.") }}$', '^localhost$', '^127\.0\.0\.1$'];
$config['proxy_whitelist'] = gethostbynamel('nginx') ?: [];
$config['use_https'] = ($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https';

$config['product_name'] = '{{ cookiecutter.project_name }}';
$config['support_url'] = '';
$config['enable_installer'] = false;
$config['session_lifetime'] = 30;
$config['session_samesite'] = 'Lax';
$config['ip_check'] = false;
$config['login_autocomplete'] = 2;
// It would count by user, so that strangers who guess could keep a person out. nginx counts log-ins, by client.
$config['login_rate_limit'] = 0;
$config['x_frame_options'] = 'sameorigin';
$config['max_message_size'] = '25M';

// Folders as dovecot has them.
$config['drafts_mbox'] = 'Drafts';
$config['sent_mbox'] = 'Sent';
$config['junk_mbox'] = 'Junk';
$config['trash_mbox'] = 'Trash';
$config['archive_mbox'] = 'Archive';
$config['create_default_folders'] = false;

// No picture or style of a mail is fetched from outside before the reader asks for it.
$config['show_images'] = 0;
$config['prefer_html'] = true;
$config['enable_spellcheck'] = false;

// The settings lead to the account pages. Roundcube may read this file more than once; one link is enough.
if (!defined('ACCOUNT_PAGES')) {
    define('ACCOUNT_PAGES', 'https://{{ cookiecutter.account_host }}/account');
    $hooks = rcube_plugin_api::get_instance();
    // Without a session, Roundcube takes the form of a log-in under any task; nginx counts only the two queries that its
    // own page sends ($login_key in config/nginx/mailserver.conf). So no other query lets in.
    $hooks->register_hook('authenticate', function ($args) {
        $args['valid'] = $args['valid'] && in_array($_SERVER['QUERY_STRING'] ?? '', ['', '_task=login'], true);
        return $args;
    });
    $hooks->register_hook('settings_actions', function ($args) {
        $rcmail = rcmail::get_instance();
        $japanese = strpos($rcmail->get_user_language(), 'ja') === 0;
        $rcmail->load_language(null, ['accountpages' => $japanese ? 'アカウントとパスワード' : 'Account and password']);
        $args['actions'][] = ['action' => 'plugin.account', 'class' => 'account', 'label' => 'accountpages', 'title' => 'accountpages'];
        return $args;
    });
    $hooks->register_hook('startup', function ($args) {
        if ($args['task'] === 'settings' && $args['action'] === 'plugin.account') {
            header('Location: ' . ACCOUNT_PAGES);
            exit;
        }
        return $args;
    });
}
