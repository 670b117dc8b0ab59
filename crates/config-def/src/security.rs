//! Keys of TLS and SASL, which workers, connectors and clients share, with the defaults of Kafka's clients.

use crate::{ConfigKey, Importance, Type, Validator, key};

/// How to talk to brokers.
pub const SECURITY_PROTOCOL: ConfigKey = key("security.protocol", Type::String)
    .default("PLAINTEXT")
    .validator(Validator::OneOfIgnoringCase(&[
        "SASL_SSL",
        "PLAINTEXT",
        "SSL",
        "SASL_PLAINTEXT",
    ]))
    .importance(Importance::Medium)
    .doc("How to talk to brokers: with or without TLS, with or without SASL.");

/// `ssl.*` of a client.
pub static SSL: &[ConfigKey] = &[
    key("ssl.protocol", Type::String)
        .default("TLSv1.3")
        .importance(Importance::Medium)
        .doc("The newest TLS version to speak."),
    key("ssl.provider", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The Java security provider; has no meaning outside a JVM."),
    key("ssl.cipher.suites", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("The cipher suites to offer; empty: the library's own choice."),
    key("ssl.enabled.protocols", Type::List)
        .default("TLSv1.2,TLSv1.3")
        .validator(Validator::LIST)
        .importance(Importance::Medium)
        .doc("The TLS versions that may be spoken."),
    key("ssl.keystore.type", Type::String)
        .default("JKS")
        .importance(Importance::Medium)
        .doc("The format of the key store: JKS, PKCS12 or PEM."),
    key("ssl.keystore.location", Type::String)
        .default_null()
        .importance(Importance::High)
        .doc("The file with our private key and certificate."),
    key("ssl.keystore.password", Type::Password)
        .default_null()
        .importance(Importance::High)
        .doc("The password of the key store."),
    key("ssl.key.password", Type::Password)
        .default_null()
        .importance(Importance::High)
        .doc("The password of the private key in the key store, or of the PEM key."),
    key("ssl.keystore.key", Type::Password)
        .default_null()
        .importance(Importance::High)
        .doc("Our private key in PEM, instead of a file."),
    key("ssl.keystore.certificate.chain", Type::Password)
        .default_null()
        .importance(Importance::High)
        .doc("Our certificate chain in PEM, instead of a file."),
    key("ssl.truststore.certificates", Type::Password)
        .default_null()
        .importance(Importance::High)
        .doc("The certificates to trust, in PEM, instead of a file."),
    key("ssl.truststore.type", Type::String)
        .default("JKS")
        .importance(Importance::Medium)
        .doc("The format of the trust store: JKS, PKCS12 or PEM."),
    key("ssl.truststore.location", Type::String)
        .default_null()
        .importance(Importance::High)
        .doc("The file with the certificates to trust."),
    key("ssl.truststore.password", Type::Password)
        .default_null()
        .importance(Importance::High)
        .doc("The password of the trust store; without one its integrity is not checked."),
    key("ssl.keymanager.algorithm", Type::String)
        .default("SunX509")
        .doc("Java's key manager; has no meaning outside a JVM."),
    key("ssl.trustmanager.algorithm", Type::String)
        .default("PKIX")
        .doc("Java's trust manager; has no meaning outside a JVM."),
    key("ssl.endpoint.identification.algorithm", Type::String)
        .default("https")
        .doc("`https`: the server's certificate must name the host; empty: it need not."),
    key("ssl.secure.random.implementation", Type::String)
        .default_null()
        .doc("Java's random source; has no meaning outside a JVM."),
    key("ssl.engine.factory.class", Type::Class)
        .default_null()
        .doc("A Java class that makes TLS engines; not supported."),
];

/// `sasl.*` of a client.
pub static SASL: &[ConfigKey] = &[
    key("sasl.kerberos.service.name", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The Kerberos principal name that the brokers run as."),
    key("sasl.kerberos.kinit.cmd", Type::String)
        .default("/usr/bin/kinit")
        .doc("The path of Kerberos' kinit."),
    key("sasl.kerberos.ticket.renew.window.factor", Type::Double)
        .default("0.8")
        .doc("The share of a ticket's life after which it is renewed."),
    key("sasl.kerberos.ticket.renew.jitter", Type::Double)
        .default("0.05")
        .doc("The random share added to the renewal time."),
    key("sasl.kerberos.min.time.before.relogin", Type::Long)
        .default("60000")
        .doc("The least time between two Kerberos logins, in milliseconds."),
    key("sasl.login.refresh.window.factor", Type::Double)
        .default("0.8")
        .validator(Validator::BetweenDoubles(0.5, 1.0))
        .doc("The share of a credential's life after which it is refreshed."),
    key("sasl.login.refresh.window.jitter", Type::Double)
        .default("0.05")
        .validator(Validator::BetweenDoubles(0.0, 0.25))
        .doc("The largest random share added to the refresh time."),
    key("sasl.login.refresh.min.period.seconds", Type::Short)
        .default("60")
        .validator(Validator::Between(0, 900))
        .doc("How long to wait at least before refreshing a credential."),
    key("sasl.login.refresh.buffer.seconds", Type::Short)
        .default("300")
        .validator(Validator::Between(0, 3600))
        .doc("How long before its end a credential should be refreshed."),
    key("sasl.mechanism", Type::String)
        .default("GSSAPI")
        .importance(Importance::Medium)
        .doc("The SASL mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or GSSAPI."),
    key("sasl.jaas.config", Type::Password)
        .default_null()
        .importance(Importance::Medium)
        .doc("The login module and its options, such as user name and password."),
    key("sasl.client.callback.handler.class", Type::Class)
        .default_null()
        .importance(Importance::Medium)
        .doc("A Java class that answers the SASL client's questions."),
    key("sasl.login.callback.handler.class", Type::Class)
        .default_null()
        .importance(Importance::Medium)
        .doc("A Java class that answers the login module's questions."),
    key("sasl.login.class", Type::Class)
        .default_null()
        .importance(Importance::Medium)
        .doc("A Java class that logs in."),
    key("sasl.login.connect.timeout.ms", Type::Int)
        .default_null()
        .doc("How long to wait for a connection to the token provider."),
    key("sasl.login.read.timeout.ms", Type::Int)
        .default_null()
        .doc("How long to wait for an answer of the token provider."),
    key("sasl.login.retry.backoff.max.ms", Type::Long)
        .default("10000")
        .doc("The longest pause between two tries to log in."),
    key("sasl.login.retry.backoff.ms", Type::Long)
        .default("100")
        .doc("The first pause between two tries to log in."),
    key("sasl.oauthbearer.jwt.retriever.class", Type::Class)
        .default("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")
        .importance(Importance::Medium)
        .doc("The class that fetches OAuth tokens."),
    key("sasl.oauthbearer.jwt.validator.class", Type::Class)
        .default("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")
        .importance(Importance::Medium)
        .doc("The class that checks OAuth tokens."),
    key("sasl.oauthbearer.scope", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The scope to ask a token for."),
    key("sasl.oauthbearer.client.credentials.client.id", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The client id of the OAuth client credentials grant."),
    key("sasl.oauthbearer.client.credentials.client.secret", Type::Password)
        .default_null()
        .importance(Importance::Medium)
        .doc("The client secret of the OAuth client credentials grant."),
    key("sasl.oauthbearer.assertion.algorithm", Type::String)
        .default("RS256")
        .validator(Validator::OneOfIgnoringCase(&["ES256", "RS256"]))
        .importance(Importance::Medium)
        .doc("The algorithm that signs the OAuth assertion."),
    key("sasl.oauthbearer.assertion.claim.aud", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The audience in the assertion."),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", Type::Int)
        .default("300")
        .validator(Validator::Between(0, 86_400))
        .doc("How long an assertion is good for."),
    key("sasl.oauthbearer.assertion.claim.iss", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The issuer in the assertion."),
    key("sasl.oauthbearer.assertion.claim.jti.include", Type::Boolean)
        .default("false")
        .importance(Importance::Medium)
        .doc("Whether each assertion gets an id of its own."),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", Type::Int)
        .default("60")
        .validator(Validator::Between(0, 3600))
        .doc("How far in the past an assertion begins to be good."),
    key("sasl.oauthbearer.assertion.claim.sub", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The subject in the assertion."),
    key("sasl.oauthbearer.assertion.file", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("A file with a ready-made assertion."),
    key("sasl.oauthbearer.assertion.private.key.file", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The file with the key that signs the assertion."),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Type::Password)
        .default_null()
        .importance(Importance::Medium)
        .doc("The passphrase of the key that signs the assertion."),
    key("sasl.oauthbearer.assertion.template.file", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("A file with headers and claims of the assertion."),
    key("sasl.oauthbearer.scope.claim.name", Type::String)
        .default("scope")
        .doc("The claim that holds the scope."),
    key("sasl.oauthbearer.sub.claim.name", Type::String)
        .default("sub")
        .doc("The claim that holds the subject."),
    key("sasl.oauthbearer.token.endpoint.url", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("Where tokens are to be had."),
    key("sasl.oauthbearer.jwks.endpoint.url", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("Where the keys that sign tokens are published."),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Type::Long)
        .default("3600000")
        .doc("How often to fetch those keys again."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Type::Long)
        .default("10000")
        .doc("The longest pause between two tries to fetch the keys."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Type::Long)
        .default("100")
        .doc("The first pause between two tries to fetch the keys."),
    key("sasl.oauthbearer.clock.skew.seconds", Type::Int)
        .default("30")
        .doc("By how much clocks may differ when tokens are checked."),
    key("sasl.oauthbearer.expected.audience", Type::List)
        .default("")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("The audience that a token must be for."),
    key("sasl.oauthbearer.expected.issuer", Type::String)
        .default_null()
        .importance(Importance::High)
        .doc("The issuer that a token must be from."),
    key("sasl.oauthbearer.header.urlencode", Type::Boolean)
        .default("false")
        .doc("Whether client id and secret are URL-encoded in the request's header."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConfigDef;

    static DEF: ConfigDef = ConfigDef::new(&[&[SECURITY_PROTOCOL], SSL, SASL]);

    #[test]
    fn the_tables_are_sound() {
        assert_eq!(DEF.faults(), Vec::<String>::new());
        assert_eq!(DEF.keys().count(), 65);
    }
}
