<?php

// The webmail's second address book: the contacts of phones and other programs (CardDAV). It only reads them, also to complete
// addresses. usermgmt gives them for the person's own token, inside the network web: from here no way leads to what others have.
// It is no folder among Roundcube's plugins, since its image fills that one when it starts; it reads this file with its settings.
$config['autocomplete_addressbooks'] = ['sql', 'synced'];

// Roundcube may read this file more than once.
if (!class_exists('synced_contacts', false)) {
    class synced_contacts extends rcube_addressbook
    {
        public const ID = 'synced';
        private const FROM = 'http://usermgmt:8080/internal/contacts';
        // A page waits for it.
        private const SECONDS = ['connect_timeout' => 1, 'timeout' => 6];

        public $primary_key = 'ID';
        public $ready = true;
        public $export_groups = false;
        public $date_cols = ['birthday', 'anniversary'];
        public $coltypes = ['name', 'firstname', 'surname', 'middlename', 'prefix', 'suffix', 'nickname', 'jobtitle',
            'organization', 'department', 'assistant', 'manager', 'gender', 'maidenname', 'spouse', 'email', 'phone', 'address',
            'birthday', 'anniversary', 'website', 'im', 'notes'];

        private $filter;
        private $result;
        /** @var array<string, array>|null What was read in this request, by ID. */
        private static $records;

        /** A text in the language of the person. */
        public static function say(string $english, string $japanese): string
        {
            return strpos(rcmail::get_instance()->get_user_language(), 'ja') === 0 ? $japanese : $english;
        }

        public function get_name()
        {
            return self::say('Synced Contacts', '同期した連絡先');
        }

        public function set_search_set($filter): void
        {
            $this->filter = $filter;
        }

        public function get_search_set()
        {
            return $this->filter;
        }

        public function reset(): void
        {
            $this->filter = $this->result = null;
        }

        public function get_result()
        {
            return $this->result;
        }

        public function list_records($cols = null, $subset = 0, $nocount = false)
        {
            $found = $this->matching();
            $this->result = new rcube_result_set(count($found), ($this->list_page - 1) * $this->page_size);
            $page = array_slice($found, $this->result->first, $this->page_size);
            $this->result->records = $subset < 0 ? array_slice($page, $subset) : array_slice($page, 0, $subset ?: null);
            return $this->result;
        }

        public function search($fields, $value, $mode = 0, $select = true, $nocount = false, $required = [])
        {
            $this->filter = [$fields, $value, $mode, (array) $required];
            return $select ? $this->list_records() : ($this->result = $this->count());
        }

        public function count()
        {
            return new rcube_result_set(count($this->matching()), ($this->list_page - 1) * $this->page_size);
        }

        public function get_record($id, $assoc = false)
        {
            $record = self::read()[$id] ?? null;
            $this->result = new rcube_result_set($record ? 1 : 0);
            if ($record) {
                $this->result->add($record);
            }
            return $assoc ? $record : $this->result;
        }

        /** The records of the last search, in order; all without one. */
        private function matching(): array
        {
            // Pictures are not fetched, and Roundcube looks for one at each mail that it shows.
            if ($this->filter && in_array('photo', $this->filter[3])) {
                return [];
            }
            $found = $this->filter ? array_filter(self::read(), [$this, 'fits']) : self::read();
            $keys = array_map(function ($record) {
                $name = self::compose_list_name($record);
                return mb_strtolower((($record[$this->sort_col] ?? '') ?: $name) . ' ' . $name);
            }, $found);
            $this->sort_order === 'DESC' ? arsort($keys, SORT_STRING) : asort($keys, SORT_STRING);
            return array_map(fn ($id) => $found[$id], array_keys($keys));
        }

        /** Whether a record is among what the last search asked for (rcube_addressbook::search describes it). */
        private function fits(array $record): bool
        {
            [$fields, $value, $mode, $required] = $this->filter;
            if ($fields === 'ID') {
                return in_array($record['ID'], is_array($value) ? $value : explode(',', $value), true);
            }
            foreach ($required as $column) {
                if (!array_filter(self::values($record, $column), 'strlen')) {
                    return false;
                }
            }
            foreach ((array) $fields as $number => $column) {
                $wanted = mb_strtolower(is_array($value) ? $value[$number] : $value);
                $same = fn ($text) => $this->compare_search_value($column, $text, $wanted, $mode);
                $found = (bool) array_filter(self::values($record, $column), $same);
                // Several values must all be found, one in any of the fields.
                if ($found !== is_array($value)) {
                    return $found;
                }
            }
            return is_array($value);
        }

        /** The texts of a column, of all its kinds (email:home, email:work); `*` is any column. */
        private static function values(array $record, string $column): array
        {
            $values = [];
            unset($record['ID']);
            foreach ($record as $name => $value) {
                if ($column === '*' || $name === $column || strpos($name, $column . ':') === 0) {
                    $value = (array) $value;
                    array_walk_recursive($value, function ($text) use (&$values) {
                        $values[] = (string) $text;
                    });
                }
            }
            return $values;
        }

        /** All records, read once in a request; none, and a word to the person, if they cannot be read. */
        private static function read(): array
        {
            if (self::$records === null) {
                self::$records = [];
                try {
                    $answer = self::ask();
                    foreach ($answer['contacts'] as $each) {
                        self::$records[$each['id']] = self::record($each['id'], $each['card']);
                    }
                    if ($answer['more']) {
                        self::tell('notice', 'There are more synced contacts than are shown here.',
                            '同期した連絡先が多すぎるため、一部だけを表示しています。');
                    }
                } catch (Throwable $error) {
                    rcube::raise_error(['message' => 'Synced contacts cannot be read: ' . $error->getMessage()], true, false);
                    self::tell('error', 'The synced contacts cannot be read now. Try again in a minute.',
                        '同期した連絡先を読み込めません。しばらくしてからお試しください。');
                }
            }
            return self::$records;
        }

        /** What usermgmt answers. A token that is no longer good is refreshed once, which ends the session if that was ended. */
        private static function ask(): array
        {
            $rcmail = rcmail::get_instance();
            $client = $rcmail->get_http_client(['http_errors' => false] + self::SECONDS);
            $rcmail->oauth->refresh([]);
            foreach ([true, false] as $first) {
                $password = (string) $rcmail->decrypt($_SESSION['password'] ?? '');
                $answer = $client->get(self::FROM, ['headers' => ['Authorization' => $password]]);
                if ($answer->getStatusCode() !== 401 || !$first || !isset($_SESSION['oauth_token'])
                    || !$rcmail->oauth->refresh_access_token($_SESSION['oauth_token'])) {
                    break;
                }
            }
            if (!isset($_SESSION['oauth_token'])) {
                // Roundcube has ended the session with the refresh that was refused: to the log-in, as in mailserver.php.
                if ($rcmail->output->ajax_call || $rcmail->output->get_env('framed')) {
                    $rcmail->output->command('session_error', $rcmail->url([]));
                    $rcmail->output->send('iframe');
                }
                $rcmail->output->redirect([]);
            }
            if ($answer->getStatusCode() !== 200) {
                throw new Exception('usermgmt answers ' . $answer->getStatusCode());
            }
            return json_decode((string) $answer->getBody(), true, 8, JSON_THROW_ON_ERROR);
        }

        /** A record as Roundcube has them; of a card that it cannot read, a name that says so. */
        private static function record(string $id, string $card): array
        {
            try {
                $record = (new rcube_vcard($card))->get_assoc();
            } catch (Throwable $error) {
                $record = ['name' => self::say('(not readable here)', '（ここでは読めない連絡先）')];
            }
            unset($record['photo']);
            $record['name'] = self::compose_display_name($record);
            return ['ID' => $id] + $record;
        }

        /** Say something where people look at contacts; while they write, it would come at each letter. */
        private static function tell(string $kind, string $english, string $japanese): void
        {
            $rcmail = rcmail::get_instance();
            if ($rcmail->task === 'addressbook' || $rcmail->action === 'list-contacts') {
                $rcmail->output->show_message(self::say($english, $japanese), $kind);
            }
        }
    }

    $hooks = rcube_plugin_api::get_instance();
    $hooks->register_hook('addressbooks_list', function ($args) {
        $args['sources'][synced_contacts::ID] = [
            'id' => synced_contacts::ID,
            'name' => (new synced_contacts())->get_name(),
            'groups' => false,
            'readonly' => true,
        ];
        return $args;
    });
    $hooks->register_hook('addressbook_get', function ($args) {
        if ($args['id'] === synced_contacts::ID) {
            $args['instance'] = new synced_contacts();
        }
        return $args;
    });
}
