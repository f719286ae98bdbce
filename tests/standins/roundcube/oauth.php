<?php
// Debian's Roundcube is 1.6. This gives its OAuth client what that of 1.7 does by itself, and what usermgmt demands: PKCE
// (S256), a nonce, a state that must be there, and a log-out that reaches the provider. An edit that no longer fits ends
// the build, so that nobody tests something else than he thinks.
$file = $argv[1];
$edits = [
    "\$_SESSION['oauth_state'] = rcube_utils::random_bytes(12);\n" => <<<'PHP'
    $_SESSION['oauth_state'] = rcube_utils::random_bytes(12);
                $_SESSION['oauth_nonce'] = rcube_utils::random_bytes(32);
                $verifier = bin2hex(random_bytes(32));
                $_SESSION['oauth_code_verifier'] = $this->rcmail->encrypt($verifier);
                $challenge = rtrim(strtr(base64_encode(hash('sha256', $verifier, true)), '+/', '-_'), '=');

    PHP,
    "'state'         => \$_SESSION['oauth_state'],\n" => <<<'PHP'
    'state'         => $_SESSION['oauth_state'],
                    'nonce'         => $_SESSION['oauth_nonce'],
                    'code_challenge_method' => 'S256',
                    'code_challenge' => $challenge,

    PHP,
    "if (!empty(\$_SESSION['oauth_state']) && \$_SESSION['oauth_state'] !== \$state) {" =>
        "if (!isset(\$_SESSION['oauth_state']) || \$_SESSION['oauth_state'] !== \$state) {",
    "'grant_type'    => 'authorization_code',\n" => <<<'PHP'
    'grant_type'    => 'authorization_code',
                                'code_verifier' => $this->rcmail->decrypt($_SESSION['oauth_code_verifier'] ?? ''),

    PHP,
    "                    // remove some data we don't want to store in session\n                    unset(\$data['id_token']);\n" =>
        "                    \$data['id_token'] = \$this->rcmail->encrypt(\$data['id_token'] ?? '');\n",
    "\$this->rcmail->plugins->register_hook('logout_after', [\$this, 'logout_after']);\n" => <<<'PHP'
    $this->rcmail->plugins->register_hook('logout_after', [$this, 'logout_after']);
                $this->rcmail->plugins->register_hook('startup', [$this, 'remember_identity']);

    PHP,
    "    public function logout_after(\$options)\n    {\n        \$this->no_redirect = true;\n    }\n" => <<<'PHP'
        public function logout_after($options)
        {
            $this->no_redirect = true;
            $uri = $this->rcmail->config->get('oauth_logout_uri');
            if ($uri && $this->identity) {
                $this->rcmail->output->redirect($uri . '?' . http_build_query(['id_token_hint' => $this->identity]));
            }
        }

        private $identity;

        public function remember_identity($args)
        {
            if ($args['task'] == 'logout' && !empty($_SESSION['oauth_token']['id_token'])) {
                $this->identity = $this->rcmail->decrypt($_SESSION['oauth_token']['id_token']);
            }
            return $args;
        }

    PHP,
];
// Debian's Guzzle no longer has the function that 1.6 calls; PHP's own, which 1.7 calls, does the same.
$source = str_replace('\\GuzzleHttp\\json_decode(', 'json_decode(', file_get_contents($file));
foreach ($edits as $old => $new) {
    if (substr_count($source, $old) !== 1) {
        fwrite(STDERR, "oauth.php must follow Debian's package: it has no longer once:\n$old");
        exit(1);
    }
    $source = str_replace($old, $new, $source);
}
file_put_contents($file, $source);
