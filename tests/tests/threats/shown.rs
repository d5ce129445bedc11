//! 9: what others may look at, and what becomes of names with markup in them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use e2e::harness::Fleet;

use super::run;
use super::told::told;

/// What an endpoint answers to raw bytes.
fn answer(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("set");
    stream.write_all(request.as_bytes()).expect("writes");
    let mut text = Vec::new();
    // A connection that stays open says nothing more.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Metrics and health: on loopback unless told otherwise, and to be looked at only.
#[test]
fn t09_the_endpoint_is_on_loopback_and_changes_nothing() {
    let fleet = Fleet::new();
    let pool = fleet.pool("noop").with_metrics_at_the_usual_port().start();
    let address = pool.address();
    assert!(address.ip().is_loopback(), "{address}");
    let ask = |method: &str, path: &str| {
        let text = answer(
            address,
            &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        );
        let status = text.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, text)
    };
    for path in ["/metrics", "/healthz", "/readyz", "/startupz"] {
        assert_eq!(ask("GET", path).0, "200", "{path}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
            assert_eq!(ask(method, path).0, "405", "{method} {path}");
        }
    }
    for path in [
        "/",
        "/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/metrics/..",
        "/config",
        "/debug/pprof",
        "/<script>",
    ] {
        let (status, text) = ask("GET", path);
        // A path that is none is no request at all.
        assert!(matches!(&*status, "404" | "400"), "{path}: {text}");
        assert!(!text.contains("script"), "{text}");
    }
    assert!(answer(address, "hello\r\n\r\n").contains("400"));
    assert_eq!(ask("GET", "/healthz").0, "200", "it is well");
}

/// Columns and categories with markup in their names, in every report of a pipeline.
#[test]
fn t09_names_with_markup_stay_text() {
    let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
    let evil = "<script>alert(1)</script>";
    let mut text = format!("id,\"x{evil}\",\"c\"\"><img src=x onerror=alert(2)>\",y\n");
    for row in 0..300 {
        let x = row * 37 % 101;
        let c = [
            "<svg/onload=alert(3)>",
            "</style><script>alert(4)</script>",
            "a&b",
        ][row % 3];
        let y = if (x > 50) != (row % 9 == 0) { evil } else { "no" };
        text += &format!("{row},{x},{c},{y}\n");
    }
    let said = run(&fleet, folder.path(), "in.csv", text.as_bytes(), "key = [\"id\"]").expect_code(0);
    let told = told(&fleet, &said);
    let reports: Vec<_> = told
        .iter()
        .filter(|(place, _)| place.ends_with(".html"))
        .collect();
    assert!(reports.len() >= 3, "{:?}", told.keys());
    for (place, page) in reports {
        assert!(page.contains("Content-Security-Policy"), "{place}");
        assert!(
            page.contains("&lt;script&gt;alert"),
            "{place}: the names are there, as text"
        );
        for markup in [
            "<script",
            "<img",
            "<svg/onload",
            "onerror=alert(2)>",
            "javascript:",
            "http-equiv=\"refresh",
        ] {
            assert!(!page.contains(markup), "{place} has {markup}");
        }
        for fetched in ["src=\"http", "src=\"//", "href=\"http", "@import", "url(http"] {
            assert!(!page.contains(fetched), "{place} fetches: {fetched}");
        }
    }
}
