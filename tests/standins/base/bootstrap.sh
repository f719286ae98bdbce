#!/bin/sh
# Makes an image that stand-ins start from: a suite's minimal system, set up like Debian's official slim image.
# usage: bootstrap.sh SUITE WORK_DIRECTORY IMAGE_TAG
# The machine's certificate bundle is handed on in /usr/local/share/ca-certificates: downloads inside a build then
# trust what this machine trusts, as soon as (and only if) the build installs ca-certificates, as it must upstream.
set -eu

suite=$1
work=$2
tag=$3
root=$work/$suite
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

rm -rf "$root"
mkdir -p "$work"
debootstrap --variant=minbase "$suite" "$root"

if [ -s "$bundle" ]; then
  install -D -m 0644 "$bundle" "$root/usr/local/share/ca-certificates/build-machine.crt"
fi

# No package may start a service while it is installed.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

# Documentation and translations are left out, copyright files are not.
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'CONF'
force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
CONF
cat >"$root/etc/apt/apt.conf.d/90slim" <<'CONF'
Acquire::Languages "none";
APT::AutoRemove::SuggestsImportant "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
CONF

rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/*.log \
  "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* "${root:?}"/dev/*
find "$root/usr/share/doc" -mindepth 2 ! -name copyright ! -type d -delete
# The image must not carry this machine's name or resolver.
: >"$root/etc/hostname"
: >"$root/etc/resolv.conf"

tar --directory "$root" --create --one-file-system --numeric-owner . |
  docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["bash"]' \
    - "$tag"
rm -rf "$root"
