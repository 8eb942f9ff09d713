#!/usr/bin/env bash
# Prints the software bill of materials of the image that it runs in, as
# CycloneDX 1.5 JSON: every Debian package in dpkg's database, every wheel that
# LibTorch's libraries came from, and every Debian package whose headers were
# compiled in.
#
# usage: docker/sbom.sh NAME VERSION       e.g. docker/sbom.sh ddgan-server 0.1.0
#
# Reads, beside the database, what docker/build_programs.sh left in
# /usr/share/doc/ddgan: wheels/*/METADATA and header_packages.
set -euo pipefail
shopt -s nullglob

name=${1:?usage: docker/sbom.sh NAME VERSION}
version=${2:?usage: docker/sbom.sh NAME VERSION}
documents=/usr/share/doc/ddgan
# shellcheck source=/dev/null
. /etc/os-release
read -r uuid </proc/sys/kernel/random/uuid

# One component a line: kind, name, version, architecture.
components() {
  dpkg-query -W -f='${db:Status-Status} ${Package} ${Version} ${Architecture}\n' |
    awk '$1 == "installed" {print "deb", $2, $3, $4}'
  awk '{print "header", $1, $2, $3}' "$documents/header_packages"
  local metadata
  for metadata in "$documents"/wheels/*/METADATA; do
    awk '/^Name: / {name = $2} /^Version: / {version = $2} /^$/ {exit}
         END {print "wheel", name, version, "-"}' "$metadata"
  done
}

components | LC_ALL=C sort | awk \
  -v name="$name" -v version="$version" -v uuid="$uuid" \
  -v time="$(date -u +%Y-%m-%dT%H:%M:%SZ)" -v os="$ID" -v os_version="$VERSION_ID" '
  function fail(text) {
    print "sbom.sh: " text >"/dev/stderr"
    failed = 1
    exit 1
  }
  # "+" has a meaning of its own in a package URL.
  function escaped(text) {
    gsub(/\+/, "%2B", text)
    return text
  }
  function component(type, name, version, rest) {
    return sprintf("    {\"type\": \"%s\", \"name\": \"%s\", \"version\": \"%s\"%s}",
                   type, name, version, rest)
  }
  {
    # Nothing that JSON would have to escape gets further than this.
    if (NF != 4 || $0 ~ /[^A-Za-z0-9.+:~_ -]/) fail("not a package: " $0)
    if ($1 == "wheel") {
      url = "pkg:pypi/" tolower($2) "@" escaped($3)
      rest = ""
      ++wheels
    } else {
      url = "pkg:deb/debian/" escaped($2) "@" escaped($3) \
            "?arch=" $4 "&distro=" os "-" os_version
      rest = ", \"supplier\": {\"name\": \"Debian\"}"
      if ($1 == "header")
        rest = rest ", \"properties\": [{\"name\": \"ddgan:linkage\"," \
                    " \"value\": \"headers compiled in\"}]"
      else
        ++packages
    }
    lines[++count] = component("library", $2, $3, \
        sprintf(", \"bom-ref\": \"%s\", \"purl\": \"%s\"%s", url, url, rest))
    references[count] = url
  }
  END {
    if (failed) exit 1
    if (!packages || !wheels) fail("no Debian package, or no wheel, to list")
    root = name "@" version
    printf "{\n"
    printf "  \"$schema\": \"http://cyclonedx.org/schema/bom-1.5.schema.json\",\n"
    printf "  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n"
    printf "  \"serialNumber\": \"urn:uuid:%s\",\n  \"version\": 1,\n", uuid
    printf "  \"metadata\": {\n    \"timestamp\": \"%s\",\n", time
    printf "    \"lifecycles\": [{\"phase\": \"build\"}],\n"
    printf "    \"component\": {\"type\": \"application\", \"bom-ref\": \"%s\", ", root
    printf "\"name\": \"%s\", \"version\": \"%s\"}\n  },\n", name, version
    printf "  \"components\": [\n"
    printf "%s,\n", component("operating-system", os, os_version, "")
    for (i = 1; i <= count; ++i) printf "%s%s\n", lines[i], (i < count ? "," : "")
    printf "  ],\n  \"dependencies\": [\n    {\"ref\": \"%s\", \"dependsOn\": [\n", root
    for (i = 1; i <= count; ++i)
      printf "      \"%s\"%s\n", references[i], (i < count ? "," : "")
    printf "    ]}\n  ]\n}\n"
  }'
