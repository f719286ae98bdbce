#!/bin/sh
# Builds /usr/src/roundcubemail, a self-contained copy laid out like the upstream release, and upstream's apache and php.
set -eu
source=/usr/src/roundcubemail

mkdir -p "$source/config" "$source/logs" "$source/temp"
# The package keeps its JavaScript behind links into other packages: follow them all, but those to packages that
# Debian only suggests (less.js, a tool for skin developers) lead nowhere.
find /usr/share/roundcube -xtype l -delete
cp -RL /usr/share/roundcube/index.php /usr/share/roundcube/SQL /usr/share/roundcube/bin /usr/share/roundcube/program \
  /usr/share/roundcube/plugins /usr/share/roundcube/skins "$source/"
cp -R /var/lib/roundcube/public_html "$source/"
cp /etc/roundcube/htaccess "$source/.htaccess"
cp /etc/roundcube/defaults.inc.php /etc/roundcube/mimetypes.php "$source/config/"
# A release ships only the .dist examples of plugin settings.
find "$source/plugins" -name config.inc.php -delete
cp /build/initdb.php "$source/bin/initdb.sh"
chmod 0755 "$source/bin/initdb.sh"

# The package's programs look in Debian's folder: let each copy find its own.
sed -i "s|define('INSTALL_PATH', '/var/lib/roundcube/')|define('INSTALL_PATH', realpath(__DIR__ . '/..') . '/')|" \
  "$source"/bin/*.sh
sed -i "s|define('INSTALL_PATH', '/var/lib/roundcube/')|define('INSTALL_PATH', realpath(__DIR__ . '/../..') . '/')|" \
  "$source/program/include/iniset.php"
if grep -rn "/var/lib/roundcube" "$source" --include='*.php' --include='*.sh'; then
  echo "the package still points at Debian's folder: adapt.sh must follow" >&2
  exit 1
fi
php /build/oauth.php "$source/program/include/rcmail_oauth.php"
php -l "$source/program/include/rcmail_oauth.php"
chown -R www-data:www-data "$source/logs" "$source/temp"

# One folder of php settings for the web server and the command line, where the php image has it.
for folder in /etc/php/*/apache2/conf.d /etc/php/*/cli/conf.d; do
  cp -n "$folder/"* /usr/local/etc/php/conf.d/
  rm -r "$folder"
  ln -s /usr/local/etc/php/conf.d "$folder"
done

echo 'Listen 8000' >/etc/apache2/ports.conf
echo 'ServerName localhost' >/etc/apache2/conf-available/servername.conf
a2enmod -q rewrite
a2enconf -q servername
a2disconf -q other-vhosts-access-log serve-cgi-bin javascript-common localized-error-pages
rm -rf /etc/roundcube /var/lib/roundcube /var/log/roundcube /var/www/html
mkdir -p /var/www/html /var/roundcube/config /var/roundcube/enigma /run/apache2 /run/lock/apache2
chown -R www-data:www-data /var/www/html /var/roundcube
chmod +t /var/roundcube
chmod 1777 /var/www/html /run/apache2 /run/lock/apache2 /var/log/apache2
ln -sf /dev/stdout /var/log/apache2/access.log
ln -sf /dev/stderr /var/log/apache2/error.log
