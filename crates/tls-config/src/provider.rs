//! The cryptography, and the cipher suites that are left of it.

use rustls::crypto::CryptoProvider;

/// Graviola where the CPU can run it. `wanted`: the cipher suites, by Java's names; none: all.
pub(crate) fn provider(wanted: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = match graviola_runs() {
        true => rustls_graviola::default_provider(),
        #[cfg(feature = "tls-ring")]
        false => rustls::crypto::ring::default_provider(),
        #[cfg(not(feature = "tls-ring"))]
        false => {
            return Err(
                "this CPU lacks instructions that TLS needs here (x86-64: AES, PCLMULQDQ, AVX2, BMI1, ADX; ARM: NEON, AES, PMULL, \
                 SHA2); a build with the feature tls-ring does without"
                    .into(),
            );
        }
    };
    if !wanted.is_empty() {
        choose_suites(&mut provider, wanted)?;
    }
    Ok(provider)
}

/// Java's names are those of IANA; rustls writes those of TLS 1.3 with `TLS13_`.
fn choose_suites(provider: &mut CryptoProvider, wanted: &[String]) -> Result<(), String> {
    let java_name = |suite: &rustls::SupportedCipherSuite| {
        let name = suite.suite().as_str().unwrap_or_default();
        name.replacen("TLS13_", "TLS_", 1)
    };
    for name in wanted {
        if !provider.cipher_suites.iter().any(|suite| java_name(suite) == *name) {
            tracing::warn!("ssl.cipher.suites names {name}, which is not supported and not offered");
        }
    }
    let known: Vec<String> = provider.cipher_suites.iter().map(java_name).collect();
    provider
        .cipher_suites
        .retain(|suite| wanted.contains(&java_name(suite)));
    match provider.cipher_suites.is_empty() {
        true => Err(format!(
            "none of ssl.cipher.suites is supported; there are {}",
            known.join(", ")
        )),
        false => Ok(()),
    }
}

/// What graviola demands; it panics otherwise.
fn graviola_runs() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("aes")
            && std::is_x86_feature_detected!("pclmulqdq")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("adx")
            && std::is_x86_feature_detected!("avx")
            && std::is_x86_feature_detected!("avx2")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull")
            && std::arch::is_aarch64_feature_detected!("sha2")
    }
}
