#!/usr/bin/env bash
# Makes the files next to it, with keytool (17) and openssl (3). All keys are for tests only; the password is test-only.
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.jks ./*.p12 ./*.pem ./*.jceks
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
pass=(-storepass test-only -noprompt)
kt() { keytool "$@" 2>/dev/null; }
ec=(-keyalg EC -groupname secp256r1 -validity 36500)

kt -genkeypair -alias ca -keystore "$work/ca.p12" "${pass[@]}" "${ec[@]}" -dname "CN=Test Only CA" -ext bc:c=ca:true
kt -exportcert -rfc -alias ca -keystore "$work/ca.p12" "${pass[@]}" >test-only-ca.pem
kt -genkeypair -alias ca -keystore "$work/other.p12" "${pass[@]}" "${ec[@]}" -dname "CN=Other Test Only CA" -ext bc:c=ca:true
kt -exportcert -rfc -alias ca -keystore "$work/other.p12" "${pass[@]}" >test-only-other-ca.pem

signed() { # signed NAME DN DAYS START ARGS...: a key with a chain, in $work/NAME.p12 and as PEM
  local name=$1 dn=$2 days=$3 start=$4; shift 4
  local ca=${CA:-ca} ca_pem=test-only-${CA:+$CA-}ca.pem
  local store=(-keystore "$work/$name.p12" "${pass[@]}")
  kt -genkeypair -alias "$name" "${store[@]}" "${ec[@]}" -dname "$dn"
  kt -certreq -alias "$name" "${store[@]}" |
    kt -gencert -rfc -alias ca -keystore "$work/$ca.p12" "${pass[@]}" -validity "$days" -startdate "$start" "$@" >"$work/$name.crt"
  kt -importcert -alias ca -file "$ca_pem" "${store[@]}"
  kt -importcert -alias "$name" -file "$work/$name.crt" "${store[@]}"
  openssl pkcs12 -in "$work/$name.p12" -passin pass:test-only -nodes -nocerts 2>/dev/null | sed -n '/BEGIN/,/END/p' >"$work/$name.key"
  cat "$work/$name.key" "$work/$name.crt" >"test-only-$name.pem"
}
signed kafka "CN=kafka" 36500 -1d -ext san=dns:kafka.test,ip:127.0.0.1
signed expired "CN=expired" 1 2020/01/01 -ext san=dns:kafka.test
signed future "CN=future" 365 2100/01/01 -ext san=dns:kafka.test
signed common-name "CN=kafka.test" 36500 -1d
signed client "CN=client" 36500 -1d
# After a rotation.
CA=other signed rotated-kafka "CN=kafka" 36500 -1d -ext san=dns:kafka.test,ip:127.0.0.1
CA=other signed rotated-client "CN=client" 36500 -1d

# Signed by itself and marked as a CA, as `openssl req -x509` does it: Java trusts it if it is in the trust store.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=kafka.test" \
  -keyout "$work/self.key" -out "$work/self.crt" 2>/dev/null
cat "$work/self.key" "$work/self.crt" >test-only-self.pem

# The client's key, in every format.
cp "$work/client.p12" test-only-client.p12
kt -importkeystore -srckeystore "$work/client.p12" -srcstorepass test-only -srcalias client -destkeystore test-only-client.jks \
  -deststoretype JKS -deststorepass test-only -destkeypass key-test-only -noprompt
kt -importkeystore -srckeystore "$work/client.p12" -srcstorepass test-only -srcalias client -destkeystore test-only-client.jceks \
  -deststoretype JCEKS -deststorepass test-only -noprompt
{ openssl pkcs8 -topk8 -v2 aes256 -in "$work/client.key" -passout pass:key-test-only; cat "$work/client.crt"; } >test-only-client-encrypted.pem
{ openssl ec -in "$work/client.key" 2>/dev/null; cat "$work/client.crt"; } >test-only-client-sec1.pem
for type in JKS PKCS12; do
  kt -importcert -alias ca -file test-only-ca.pem -keystore "test-only-trust.$(echo $type | sed 's/PKCS12/p12/; s/JKS/jks/')" -storetype $type "${pass[@]}"
done
