#!/bin/sh
# Records quotes by tpm2-tools of a software TPM: sh vectors/quote/record.sh > vectors/quote/quotes.json
set -eu
dir=$(mktemp -d)
trap 'kill "$tpm"; rm -rf "$dir"' EXIT
swtpm socket --tpm2 --tpmstate "dir=$dir" --flags not-need-init,startup-clear \
  --server "type=unixio,path=$dir/s" --ctrl "type=unixio,path=$dir/s.ctrl" >/dev/null 2>&1 &
tpm=$!
while [ ! -S "$dir/s" ] || [ ! -S "$dir/s.ctrl" ]; do sleep 0.05; done
cd "$dir"
export TPM2TOOLS_TCTI="swtpm:path=$dir/s"
free() { for kind in -t -l -s; do tpm2_flushcontext $kind >/dev/null 2>&1; done; }
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }

tpm2_pcrextend 16:sha256=$(printf '%064d' 1)
for type in ecc rsa; do tpm2_createek -c $type.ek -G $type -u $type.pub >/dev/null; free; done
separator='['
# name, key, EK, scheme, hash, PCRs
while read -r name type ek scheme hash pcrs; do
  tpm2_createak -C "$ek.ek" -c ak -G "$type" -g "$hash" -s "$scheme" -u ak.pub >/dev/null && free
  tpm2_readpublic -c ak -f pem -o ak.pem >/dev/null && free
  tpm2_quote -c ak -l "$pcrs" -q 0badcafe -m msg -s sig -o pcrs -f tss -g "$hash" --scheme "$scheme" >/dev/null && free
  printf '%s\n{"name":"%s","nonce":"0badcafe","attest":"%s","signature":"%s","akPublic":"%s","pem":"%s","pcrs":"%s"}' \
    "$separator" "$name" "$(hex msg)" "$(hex sig)" "$(hex ak.pub)" "$(awk '{printf "%s\\n", $0}' ak.pem)" "$(hex pcrs)"
  separator=','
done <<KEYS
ecdsa-p256-sha256 ecc ecc ecdsa sha256 sha256:0,7,16
ecdsa-p384-sha384 ecc384 ecc ecdsa sha384 sha256:0,7,16
rsassa-2048-sha256 rsa rsa rsassa sha256 sha256:0,7,16+sha1:0
rsapss-2048-sha256 rsa rsa rsapss sha256 sha256:0,7,16
rsassa-2048-sha384 rsa rsa rsassa sha384 sha384:1
KEYS
printf '\n]\n'
