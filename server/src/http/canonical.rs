//! The string that a client signs, and the signatures over it (account-routing-metadata.md 1.2 to 1.5, 1.9).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::query::{Query, decode};
use super::request::below_quota_route;

/// The parts of a request that are signed. Header names are lower-case.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Upper-case HTTP method.
    pub method: &'a str,
    /// The path as sent, still percent-encoded.
    pub path: &'a str,
    /// The query as sent, without `?`.
    pub query: &'a str,
    pub headers: &'a [(String, String)],
}

impl Signed<'_> {
    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All strings the client may have signed: with and without the service prefix `/api`, with the query decoded
    /// once or as PyODPS does, with and without the content type that a Java HTTP stack adds by itself.
    pub fn candidates(&self) -> Vec<String> {
        let path = decode(self.path);
        let mut paths = vec![path.as_str()];
        if let Some(rest) = path.strip_prefix("/api").filter(|rest| rest.starts_with('/')) {
            paths.insert(0, rest);
        }
        paths.extend(below_quota_route(&path));
        let once = Query::parse(self.query);
        let twice = Query::parse(&decode(self.query));
        let mut queries = vec![&once];
        if twice != once {
            queries.push(&twice);
        }
        let content_type = self.header("content-type").unwrap_or_default();
        let mut content_types = vec![content_type];
        if content_type == "application/x-www-form-urlencoded" {
            content_types.push("");
        }
        let mut found = Vec::new();
        for path in paths {
            for query in &queries {
                for content_type in &content_types {
                    found.push(self.canonical(path, query, content_type));
                }
            }
        }
        found
    }

    fn canonical(&self, path: &str, query: &Query, content_type: &str) -> String {
        let mut lines: Vec<(String, &str)> = self
            .headers
            .iter()
            .filter(|(n, _)| n.starts_with("x-odps-"))
            .map(|(n, v)| (n.clone(), v.as_str()))
            .collect();
        let by_query = query.0.iter().filter(|(n, _)| n.to_ascii_lowercase().starts_with("x-odps-"));
        lines.extend(by_query.map(|(n, v)| (n.to_ascii_lowercase(), v.as_str())));
        lines.sort();
        let md5 = self.header("content-md5").unwrap_or_default();
        let date = self.header("date").unwrap_or_default();
        let mut text = format!("{}\n{md5}\n{content_type}\n{date}\n", self.method);
        for (name, value) in lines {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(path);
        text.push_str(&resource_query(query));
        text
    }
}

/// `?` and the pairs sorted by name; a later duplicate replaces an earlier one, an empty value leaves the bare name.
fn resource_query(query: &Query) -> String {
    let pairs: std::collections::BTreeMap<&str, &str> = query.0.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

/// Signing key of version 4, derived from a secret and a scope.
pub fn v4_key(secret: &str, prefix: &str, date: &str, region: &str, service: &str, request: &str) -> Vec<u8> {
    let mut key = format!("{prefix}{secret}").into_bytes();
    for part in [date, region, service, request] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    key
}

/// `base64(HMAC-SHA1(key, text))`: the signature of both versions.
pub fn signature(key: &[u8], text: &str) -> String {
    STANDARD.encode(hmac_sha1(key, text.as_bytes()))
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so the constructor cannot fail.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Compares without telling by its duration where the texts differ.
pub fn same(left: &str, right: &str) -> bool {
    let difference = left.bytes().zip(right.bytes()).fold(0u8, |all, (a, b)| all | (a ^ b));
    left.len() == right.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "exampleSecretKey/abcDEF+0123456789=";

    fn headers(extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all = vec![
            ("date".to_string(), "Wed, 15 Jan 2025 08:30:00 GMT".to_string()),
            ("user-agent".to_string(), "example-client/1.0".to_string()),
            ("x-odps-user-agent".to_string(), "example-client/1.0".to_string()),
        ];
        all.extend(extra.iter().map(|(n, v)| (n.to_string(), v.to_string())));
        all
    }

    fn v4() -> Vec<u8> {
        v4_key(SECRET, "aliyun_v4", "20250115", "cn-hangzhou", "odps", "aliyun_v4_request")
    }

    fn signed_by(signed: Signed<'_>, key: &[u8], wanted: &str) -> bool {
        signed.candidates().iter().any(|text| same(&signature(key, text), wanted))
    }

    #[test]
    fn primitive_and_key_stages() {
        assert_eq!(signature(b"my-secret-key", "testdata"), "iAcVTeAghMtN74BeKwFTj/pgFEA=");
        let hex: String = v4().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "46c9f1baa6de7c276d76ae3fe046b29d9fe5410af4c857fe47a2a0a20202cee7");
    }

    #[test]
    fn example_a_get_table_with_flag() {
        let headers = headers(&[]);
        let signed = Signed {
            method: "GET",
            path: "/api/projects/demo_project/tables/orders",
            query: "extended&curr_project=demo_project&curr_schema=default",
            headers: &headers,
        };
        let first = signed.candidates().remove(0);
        assert_eq!(first.len(), 164);
        assert!(signed_by(signed, SECRET.as_bytes(), "OEsg8ALqz63JGFXqvbMTLWTp1Pc="));
        assert!(signed_by(signed, &v4(), "uL8314szlHEJZQkOPZt1a4/IdyY="));
    }

    #[test]
    fn example_b_post_with_body_headers() {
        let headers =
            headers(&[("content-type", "application/json"), ("content-md5", "d7d11cc2558d51e21fde25328b61715b")]);
        let signed = Signed {
            method: "POST",
            path: "/api/storage/v1/projects/demo_project/schemas/default/tables/orders/sessions",
            query: "session_type=batch_read&quotaName=my_quota&curr_project=demo_project",
            headers: &headers,
        };
        assert!(signed_by(signed, SECRET.as_bytes(), "VXipGAdDK1lNklABvFd3bEBHbtk="));
        assert!(signed_by(signed, &v4(), "H9mdXJDq6Hw1GPJ9EdPYzEBiE30="));
    }

    #[test]
    fn example_c_single_and_double_decoding() {
        let headers = headers(&[]);
        let signed = Signed {
            method: "GET",
            path: "/api/projects/demo_project/tables/orders",
            query: "partitions&expectmarker=true&partition=dt%3D%2720250101%27%2Cregion%3D%27cn+east%27\
                    &marker=a%2Bb%2Fc%3D%3D&maxitems=1000&curr_project=demo_project",
            headers: &headers,
        };
        assert!(signed_by(signed, SECRET.as_bytes(), "0Dc0YL680VEnSSgMtRO6cN5N4NI="));
        assert!(signed_by(signed, SECRET.as_bytes(), "CJxIsMyoz6ms4wbH/Edx+i75Jxs="));
    }

    #[test]
    fn example_d_discovery_and_application() {
        let headers = headers(&[]);
        let signed = Signed {
            method: "GET",
            path: "/api/projects/demo_project/tunnel",
            query: "service&quotaName=my_quota&curr_project=demo_project",
            headers: &headers,
        };
        assert!(signed_by(signed, SECRET.as_bytes(), "TdUfGaipA4h8AzaxqAS0TPNlUPE="));
        assert!(signed_by(signed, &v4(), "o8xEoqErGgzxZemUywJF5/VhphY="));
        let authorization = "ODPS LTAIexampleKeyId0001:TdUfGaipA4h8AzaxqAS0TPNlUPE=";
        assert_eq!(signature(b"appSecretKey9876543210", authorization), "YkA4Y+u/3lx1U/hBRMUXVK0T+g4=");
    }

    #[test]
    fn java_content_type_may_be_unsigned() {
        let headers = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        let signed = Signed { method: "POST", path: "/x", query: "", headers: &headers };
        assert_eq!(signed.candidates().len(), 2);
    }
}
