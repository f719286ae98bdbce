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
    . '@mariadb/roundcube{{ "?ca=/run/secrets/internal_ca_crt&verify_server_cert=1" if cookiecutter.scale == "swarm" else "" }}';

// People log in on the account pages, never here: Roundcube gets a token for them, which Dovecot verifies. It asks for it
// inside the stack, at the one address there that gives tokens (network web).
$account = getenv('ACCOUNT_URL');
$config['oauth_provider'] = 'usermgmt';
$config['oauth_provider_name'] = '{{ cookiecutter.project_name }}';
$config['oauth_client_id'] = 'roundcube';
$config['oauth_client_secret'] = trim(file_get_contents('/run/secrets/roundcube_oauth_client_secret'));
$config['oauth_auth_uri'] = $account . '/oidc/authorize';
$config['oauth_logout_uri'] = $account . '/oidc/logout';
$config['oauth_token_uri'] = 'http://usermgmt:8080/oidc/token';
$config['oauth_scope'] = 'openid mail';
$config['oauth_pkce'] = 'S256';
$config['oauth_identity_fields'] = ['email'];
$config['oauth_auth_type'] = 'XOAUTH2';
$config['oauth_login_redirect'] = true;

// Each user logs in to SMTP as to IMAP, so that Postfix knows who sends.
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';

// Which names this site has, and whom to believe about the client's address: nginx only.
$config['trusted_host_patterns'] = ['^{{ cookiecutter.webmail_host | replace(".", "\\.") }}$', '^localhost$', '^127\.0\.0\.1$'];
$config['proxy_whitelist'] = gethostbynamel('nginx') ?: [];
$config['use_https'] = ($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https';
// The port that a browser sees is the one of the host name, not Apache's: Roundcube puts it into the address that it asks
// the log-in to come back to, and that address must be the one that usermgmt knows.
$_SERVER['SERVER_PORT'] = parse_url('//' . ($_SERVER['HTTP_HOST'] ?? ''), PHP_URL_PORT) ?: ($config['use_https'] ? 443 : 80);

$config['product_name'] = '{{ cookiecutter.project_name }}';
$config['support_url'] = '';
$config['enable_installer'] = false;
$config['session_lifetime'] = 30;
$config['session_samesite'] = 'Lax';
$config['ip_check'] = false;
$config['login_autocomplete'] = 2;
// It would count by user, so that strangers could keep a person out. Nobody can guess here: no password lets in.
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

// Roundcube may read this file more than once; one of each hook is enough.
if (!defined('ACCOUNT_PAGES')) {
    define('ACCOUNT_PAGES', $account . '/account');
    $hooks = rcube_plugin_api::get_instance();
    // No password lets in, whoever sends the form of a log-in. Registered late: Roundcube's own hook, which comes before,
    // says that a token does.
    $hooks->register_hook('startup', function ($args) use ($hooks) {
        $hooks->register_hook('authenticate', function ($login) {
            $login['valid'] = $login['valid'] && !empty($login['sso']);
            return $login;
        });
        return $args;
    });
    // A session that was ended elsewhere ends here too, instead of showing an empty webmail. Dovecot's other refusals, such
    // as that the database is down, pass: who is in stays in.
    $hooks->register_hook('storage_connect', function ($args) {
        $args['retry'] = $args['attempt'] === 1 && isset($_SESSION['oauth_token']);
        $rcmail = rcmail::get_instance();
        if ($args['attempt'] > 1 && $rcmail->get_storage()->conn->resultcode === 'AUTHENTICATIONFAILED') {
            $rcmail->kill_session();
            if ($rcmail->output->ajax_call || $rcmail->output->get_env('framed')) {
                $rcmail->output->command('session_error', $rcmail->url([]));
                $rcmail->output->send('iframe');
            }
            $rcmail->output->redirect([]);
        }
        return $args;
    });
    // A filter's redirect to another domain is refused when it is saved, in words: Postfix would not do one to the outside, and
    // the account pages forward wherever it is possible. The form says what is missing; what was written by hand is shown again.
    $hooks->register_hook('startup', function ($args) {
        if ($args['task'] !== 'settings' || !in_array($args['action'], ['plugin.managesieve-save', 'plugin.managesieve-saveraw'], true)) {
            return $args;
        }
        $rcmail = rcmail::get_instance();
        $own = '@' . strtolower((string) $rcmail->user->get_username('domain'));
        $outside = fn ($target) => is_string($target) && substr(strtolower(trim($target)), -strlen($own)) !== $own;
        $refused = false;
        foreach ((array) ($_POST['_action_type'] ?? []) as $number => $type) {
            $target = $_POST['_action_target'][$number] ?? '';
            if (is_string($type) && strpos($type, 'redirect') === 0 && trim((string) $target) !== '' && $outside($target)) {
                $_POST['_action_target'][$number] = '';
                $refused = true;
            }
        }
        // A whole script, by hand or from a file: without comments, and with a number for each string, so that nothing in
        // them is taken for a command. The address is the last string of its command.
        $file = $_FILES['_file']['tmp_name'] ?? null;
        $script = $_POST['rawsetcontent'] ?? (is_string($file) && is_uploaded_file($file) ? file_get_contents($file) : '');
        $strings = [];
        $bare = preg_replace_callback(
            '~#[^\r\n]*|/\*.*?\*/|\btext:[ \t]*(?:#[^\r\n]*)?\r?\n(.*?)\r?\n\.(?=\r|\n|$)|"((?:[^"\\\\]|\\\\.)*)"~si',
            function ($token) use (&$strings) {
                return isset($token[1]) ? '"' . (array_push($strings, end($token)) - 1) . '"' : ' ';
            },
            is_string($script) ? $script : ''
        );
        preg_match_all('/\bredirect\b[^;{}]*"(\d+)"\s*;/i', (string) $bare, $found);
        if ($bare === null || array_filter(array_intersect_key($strings, array_flip($found[1])), $outside)) {
            $args['action'] = 'plugin.managesieve-action';
            $refused = true;
        }
        if ($refused) {
            $japanese = strpos($rcmail->get_user_language(), 'ja') === 0;
            $rcmail->output->show_message($japanese
                ? '保存されていません。ほかのドメインへの転送は「アカウントとパスワード」の「転送」で設定してください: ' . ACCOUNT_PAGES . '/mail'
                : 'Not saved. To forward to another domain, use Forwarding under Account and password: ' . ACCOUNT_PAGES . '/mail', 'error');
        }
        return $args;
    });
    // On a phone the skin hides the footer, where the button Save is, if its empty frame is there before the list of filters is:
    // nobody could save a first filter.
    $hooks->register_hook('startup', function ($args) {
        $output = rcmail::get_instance()->output;
        if ($args['task'] === 'settings' && $args['action'] === 'plugin.managesieve' && $output->type === 'html') {
            $output->add_script('$(".content-frame-navigation").removeClass("hidden");', 'docready');
        }
        return $args;
    });
    // The settings lead to the account pages.
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
