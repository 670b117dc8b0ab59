//! What a person reads when a cluster does not let us in, and that mending it at the cluster is enough.

use super::*;

/// Starts a flow that one side refuses; waits for the line that says so.
fn is_told(
    pair: &mut Secured,
    alias: &str,
    source: (Listener, Settings),
    host: &str,
    words: &[&str],
) -> (Heliograph, MirrorProperties) {
    let servers = format!("{host}:{}", pair.source.port(source.0));
    let properties =
        flow(pair, alias, source, (Listener::Ssl, tls())).set(&format!("{alias}.bootstrap.servers"), &servers);
    let mut mirror = Heliograph::mirror_maker(alias, &properties);
    let line = mirror.process().wait_for_line(words[0], SOON);
    for word in words {
        assert!(line.contains(word), "{word:?} is missing in: {line}");
    }
    assert!(line.contains("ERROR"), "{line}");
    assert!(mirror.process().is_running());
    no_secret_shows(&mut mirror);
    (mirror, properties)
}

#[test]
fn who_is_refused_is_told_why() {
    with_pair(|pair| {
        let other_ca = vec![
            ("security.protocol", "SSL".to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            (
                "ssl.truststore.location",
                test_certificate("other-ca.pem").display().to_string(),
            ),
        ];
        let stranger = scram("SASL_PLAINTEXT", 512, "username=\"stranger\" password=\"geheim\"");
        let wrong_password = plain("SASL_PLAINTEXT", &user("geheim-wrong"));
        let expired_token = oauth(
            "SASL_PLAINTEXT",
            "unsecuredLoginStringClaim_sub=\"x\" unsecuredLoginLifetimeSeconds=\"-10\"",
        );
        for (alias, listener, settings, host, words) in [
            (
                "wrongca",
                Listener::Ssl,
                other_ca,
                "127.0.0.1",
                &[
                    "CN=kafka was signed by CN=Test Only CA, which is not trusted",
                    "ssl.truststore.location",
                ][..],
            ),
            (
                "wronghost",
                Listener::Ssl,
                tls(),
                "localhost",
                &[
                    "CN=kafka is for kafka.test, 127.0.0.1 and not for localhost",
                    "ssl.endpoint.identification.algorithm",
                ],
            ),
            (
                "expired",
                Listener::Expired,
                tls(),
                "127.0.0.1",
                &["CN=expired, or one that signed it, has expired"],
            ),
            (
                "nocert",
                Listener::Mutual,
                tls(),
                "127.0.0.1",
                &["ssl.keystore.location", "TLS with 127.0.0.1"],
            ),
            (
                "stranger",
                Listener::SaslPlaintext,
                stranger,
                "127.0.0.1",
                &[
                    "refused to log in user stranger with SCRAM-SHA-512",
                    "invalid credentials",
                    "sasl.jaas.config",
                ],
            ),
            (
                "wrongplain",
                Listener::SaslPlaintext,
                wrong_password,
                "127.0.0.1",
                &[
                    "refused to log in user mirror-user with PLAIN",
                    "Invalid username or password",
                ],
            ),
            (
                "oldtoken",
                Listener::SaslPlaintext,
                expired_token,
                "127.0.0.1",
                &["the token has expired"],
            ),
        ] {
            let (mirror, _) = is_told(pair, alias, (listener, settings), host, words);
            mirror.stop();
        }
    });
}

#[test]
fn a_listener_of_another_kind_is_suspected() {
    with_pair(|pair| {
        let suspected = "its listener may expect another security.protocol";
        for (alias, listener, settings, words) in [
            ("tlsonplain", Listener::SaslPlaintext, tls(), suspected),
            ("nologin", Listener::SaslPlaintext, Settings::new(), suspected),
            (
                "plainontls",
                Listener::Ssl,
                Settings::new(),
                "it expects TLS; use a PLAINTEXT listener, or set security.protocol",
            ),
        ] {
            let properties = flow(pair, alias, (listener, settings), (Listener::Ssl, tls()));
            let mut mirror = Heliograph::mirror_maker(alias, &properties);
            mirror.process().wait_for_line(words, SOON);
            mirror.stop();
        }
    });
}

#[test]
fn a_password_that_is_mended_at_the_broker_is_enough() {
    with_pair(|pair| {
        pair.source.set_scram_password("another");
        let source = (Listener::SaslPlaintext, scram("SASL_PLAINTEXT", 256, &user(PASSWORD)));
        let words = [
            "refused to log in user mirror-user with SCRAM-SHA-256",
            "trying again later",
        ];
        let (mirror, properties) = is_told(pair, "mended", source, "127.0.0.1", &words);
        let (mut source, mut target) = (pair.source.client(), pair.target.client());
        source.create_topic(Topic::new("mended-topic", 1));
        source.produce("mended-topic", 0, Compression::None, &numbered(0..10));
        pair.source.set_scram_password(PASSWORD);
        assert_mirrored(
            &mut source,
            &mut target,
            "mended-topic",
            &properties.mirrored("mended-topic"),
            2 * SOON,
        );
        mirror.stop();
    });
}

#[test]
fn a_target_that_refuses_us_at_start_is_waited_for() {
    with_pair(|pair| {
        pair.target.set_scram_password("another");
        let (mut source, mut target) = (pair.source.client(), pair.target.client());
        let to = scram("SASL_SSL", 512, &user(PASSWORD))
            .into_iter()
            .chain(tls_trust())
            .collect();
        let properties = flow(pair, "unwelcome", (Listener::Ssl, tls()), (Listener::SaslSsl, to));
        let mut mirror = Heliograph::mirror_maker("unwelcome", &properties);
        mirror
            .process()
            .wait_for_line("refused to log in user mirror-user with SCRAM-SHA-512", SOON);
        source.create_topic(Topic::new("unwelcome-topic", 1));
        source.produce("unwelcome-topic", 0, Compression::None, &numbered(0..10));
        pair.target.set_scram_password(PASSWORD);
        let copy = properties.mirrored("unwelcome-topic");
        assert_mirrored(&mut source, &mut target, "unwelcome-topic", &copy, 2 * SOON);
        no_secret_shows(&mut mirror);
        mirror.stop();
    });
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    with_pair(|pair| {
        let gssapi = sasl("SASL_PLAINTEXT", "GSSAPI", "plain.PlainLoginModule", "");
        let mut custom = plain("SASL_PLAINTEXT", &user(PASSWORD));
        custom.push(("sasl.client.callback.handler.class", "com.example.Handler".to_owned()));
        for (alias, settings, words) in [
            (
                "gssapi",
                gssapi,
                "Kerberos is not supported; supported are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER",
            ),
            (
                "custom",
                custom,
                "Invalid value com.example.Handler for configuration sasl.client.callback.handler.class",
            ),
        ] {
            let properties = flow(pair, alias, (Listener::SaslPlaintext, settings), (Listener::Ssl, tls()));
            let mut mirror = Heliograph::mirror_maker(alias, &properties);
            mirror.process().wait_for_line(words, SOON);
            no_secret_shows(&mut mirror);
        }
    });
}
