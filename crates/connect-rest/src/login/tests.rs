use std::path::Path;

use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

const JAAS: &str = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";

fn system(file: &Path) -> Props {
    [(LOGIN_CONFIG.to_owned(), file.display().to_string())].into()
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("there is room");
}

fn basic(user_and_password: &str) -> HeaderMap {
    let value = format!("Basic {}", BASE64.encode(user_and_password));
    [(header::AUTHORIZATION, HeaderValue::from_str(&value).expect("a header"))]
        .into_iter()
        .collect()
}

/// A directory with files of users, and a login configuration with modules over them.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    fn users(&self, name: &str, text: &str) -> &Self {
        write(&self.0.path().join(name), text);
        self
    }

    /// `modules`: flags and names of files.
    async fn login(&self, modules: &[(&str, &str)]) -> Login {
        let module = |(flag, file): &(&str, &str)| format!("{JAAS} {flag} file=\"${{dir}}/{file}\";\n");
        let modules: String = modules.iter().map(module).collect();
        let jaas = self.0.path().join("jaas.conf");
        write(&jaas, &format!("KafkaConnect {{\n{modules}}};\n"));
        let mut system = system(&jaas);
        system.insert("dir".to_owned(), self.0.path().display().to_string());
        Login::read(&system).await.expect("a good configuration")
    }
}

#[tokio::test]
async fn users_are_those_of_the_file() {
    let place = Place::new();
    place.users("users", "alice=secret\nb\\u00f6b = a:b \nempty=\n");
    let login = place.login(&[("required", "users")]).await;
    for (given, is_taken) in [
        ("alice:secret", true),
        ("alice:Secret", false),
        ("alice:secret ", false),
        ("alice:", false),
        ("alice", false),
        (":secret", false),
        ("eve:secret", false),
        ("eve:", false),
        ("bob:a:b", false),
        ("b\u{f6}b:a:b ", true),
        ("empty:", true),
        ("", false),
    ] {
        assert_eq!(login.admits(&basic(given)).await, is_taken, "{given}");
    }
    assert!(!login.admits(&HeaderMap::new()).await);
    let mut twice = basic("alice:secret");
    twice.append(
        header::AUTHORIZATION,
        HeaderValue::from_static("Basic YWxpY2U6c2VjcmV0"),
    );
    assert!(!login.admits(&twice).await, "which of them?");
}

#[tokio::test]
async fn modules_count_as_their_flags_say() {
    let place = Place::new();
    place.users("a", "a=1").users("b", "b=1");
    for (modules, a, b) in [
        (&[("required", "a"), ("required", "b")][..], true, true),
        (&[("sufficient", "a"), ("required", "b")], true, true),
        (&[("required", "a"), ("required", "missing")], false, false),
        (&[("sufficient", "a"), ("required", "missing")], true, false),
        (&[("required", "missing"), ("sufficient", "a")], false, false),
        (&[("requisite", "missing"), ("optional", "a")], false, false),
        (&[("optional", "missing"), ("optional", "a")], true, false),
    ] {
        let login = place.login(modules).await;
        let admitted = (login.admits(&basic("a:1")).await, login.admits(&basic("b:1")).await);
        assert_eq!(admitted, (a, b), "{modules:?}");
        assert!(!login.admits(&basic("a:2")).await, "{modules:?}");
    }
}

#[tokio::test]
async fn users_that_change_are_read_again_and_never_become_everybody() {
    let place = Place::new();
    let file = place.0.path().join("users");
    let login = place.login(&[("required", "users")]).await;
    let admits = async |user: &str| login.admits(&basic(user)).await;
    assert!(!admits("a:1").await, "there is no file");
    write(&file, "a=1");
    assert!(admits("a:1").await);
    write(&file, "a=22");
    assert!(!admits("a:1").await && admits("a:22").await);
    for broken in ["", "# nobody", "a=\\u00"] {
        write(&file, broken);
        assert!(
            !admits("b:1").await && admits("a:22").await,
            "{broken}: those before stay in force"
        );
    }
    std::fs::remove_file(&file).expect("it is there");
    assert!(!admits("b:1").await && admits("a:22").await);
}

#[tokio::test]
async fn a_file_without_users_lets_everybody_in_as_in_kafka() {
    let place = Place::new();
    let login = place.users("users", "# nobody\n").login(&[("required", "users")]).await;
    assert!(login.admits(&HeaderMap::new()).await && login.admits(&basic("a:b")).await);
}

#[tokio::test]
async fn what_nobody_could_log_in_with_is_refused_at_the_start() {
    assert!(
        Login::read(&Props::new())
            .await
            .expect_err("nothing")
            .contains("KAFKA_OPTS")
    );
    let dir = tempfile::tempdir().expect("there is room");
    let jaas = dir.path().join("jaas.conf");
    for (text, why) in [
        ("", "no login modules for KafkaConnect"),
        ("KafkaConnect { };", "no login modules for KafkaConnect"),
        ("KafkaServer { x required; };", "no login modules for KafkaConnect"),
        (
            "KafkaConnect { com.example.Ldap required; };",
            "com.example.Ldap is not supported",
        ),
        (
            &format!("KafkaConnect {{ {JAAS} required; }};"),
            "needs the option file",
        ),
        (
            &format!("KafkaConnect {{ {JAAS} required file=\" \"; }};"),
            "needs the option file",
        ),
        ("KafkaConnect {", "entry KafkaConnect: '}' is expected"),
    ] {
        write(&jaas, text);
        let error = Login::read(&system(&jaas)).await.expect_err(text);
        assert!(error.contains(why) && error.contains("jaas.conf"), "{error}");
    }
    assert!(
        Login::read(&system(Path::new("/nowhere")))
            .await
            .expect_err("none")
            .contains("/nowhere cannot be read")
    );
    // As a URL, and as the only one.
    write(&jaas, &format!("other {{ {JAAS} required file=x; }};"));
    for name in [format!("file:{}", jaas.display()), format!("={}", jaas.display())] {
        let read = Login::read(&[(LOGIN_CONFIG.to_owned(), name)].into()).await;
        assert_eq!(read.expect("the default entry").modules.len(), 1);
    }
}

#[tokio::test]
async fn no_debug_shows_a_password() {
    let place = Place::new();
    let login = place.users("users", "a=geheim").login(&[("required", "users")]).await;
    let shown = format!("{login:?}");
    assert!(shown.contains("users") && !shown.contains("geheim"), "{shown}");
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(text in "(Basic |bASIC| |[A-Za-z0-9+/=:]|é){0,20}") {
        let _ = Credentials::read(&text);
    }

    #[test]
    fn what_is_encoded_is_read(user in "[^:]{1,10}", password in ".{0,10}") {
        let header = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
        let read = Credentials::read(&header).expect("it is well formed");
        prop_assert_eq!((read.user, read.password), (user, password));
    }

    #[test]
    fn no_file_of_users_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = Users::parse(&bytes);
    }
}
