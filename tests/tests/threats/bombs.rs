//! 4 and 5: small files that become large ones, and texts that are deep, long or wide.

use std::io::Write as _;

use e2e::harness::{Fleet, Stopwatch, side_by_side};
use pipeline::intake;
use pipeline::spec::{Overrides, Spec, load};

use super::{AT_ONCE, fails_at_once, fails_within, run_there};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).expect("packs");
    to.finish().expect("packs")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("packs")
}

const TOO_MUCH: &str = "unpacks to more than 1000 times its size";

#[test]
fn t04_bombs_of_gzip_and_zstd() {
    let zeros = vec![b'0'; 256 << 20];
    let bomb = zstd(&zeros);
    let rows = format!("x,y\n{}", "1,1\n".repeat(50_000));
    // Within a first packing that is refused by nothing, there is a second one, which is no text.
    let nested = gzip(&gzip(rows.as_bytes()));
    let doubled = gzip(&bomb);
    let many: Vec<u8> = std::iter::repeat_n(zstd(&zeros[..32 << 20]), 64)
        .flatten()
        .collect();
    side_by_side(
        2,
        vec![
            ("a bomb of zstd", "in.csv.zst", bomb.clone(), TOO_MUCH),
            ("it is called CSV", "in.csv", bomb, TOO_MUCH),
            ("64 frames of zstd", "in.ndjson.zst", many, TOO_MUCH),
            ("gzip within gzip", "in.csv.gz", nested, "not UTF-8"),
            ("a bomb within gzip", "in.csv.gz", doubled, "not UTF-8"),
            (
                "gzip that is cut off",
                "in.csv.gz",
                gzip(rows.as_bytes())[..200].to_vec(),
                "damaged or cut off",
            ),
        ],
        |(what, file, bytes, reason)| {
            fails_at_once(what, file, &bytes, &[reason]);
        },
    );
}

/// A file of one line that is a gigabyte, which takes no room on disk.
#[test]
fn t05_a_line_of_a_gigabyte() {
    for (name, reason) in [("in.csv", "line 1"), ("in.ndjson", "line 1")] {
        let (fleet, folder) = (Fleet::new(), tempfile::tempdir().expect("makes a folder"));
        let file = std::fs::File::create(folder.path().join(name)).expect("makes a file");
        file.set_len(1 << 30).expect("grows");
        let watch = Stopwatch::start();
        let report = run_there(&fleet, folder.path(), &format!("\"{name}\""), "")
            .expect_code(5)
            .report();
        println!("{name}: {watch}: {}", report.text("reason"));
        assert!(report.text("reason").contains(reason), "{report:?}");
    }
}

#[test]
fn t05_deep_and_wide_text_in_files() {
    let deep = format!(
        "{{\"x\":{}1{},\"y\":1}}\n",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let keys: Vec<String> = (0..1_000_000).map(|i| format!("\"k{i}\":1")).collect();
    let wide = format!("{{{}}}\n", keys.join(","));
    let header: Vec<String> = (0..1_000_000).map(|i| format!("c{i}")).collect();
    let table = format!("{}\n{}\n", header.join(","), "1,".repeat(999_999) + "1");
    side_by_side(
        2,
        vec![
            ("10,000 lists", "in.ndjson", deep, ["nested too deeply"; 2]),
            ("1,000,000 keys", "in.ndjson", wide, ["4096", "4096"]),
            ("1,000,000 columns", "in.csv", table, ["4096", "4096"]),
        ],
        |(what, file, text, reasons)| {
            // Twelve megabytes are read first, by code that is not optimised, on machines with other work to do.
            fails_within(AT_ONCE * 4, what, file, text.as_bytes(), &reasons);
        },
    );
}

#[test]
fn t05_deep_and_wide_text_in_messages_and_specifications() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let keys: Vec<String> = (0..1_000_000).map(|i| format!("\"k{i}\":1")).collect();
    let wide = format!("{{{}}}", keys.join(","));
    let request = |set: &str| format!(r#"{{"version":"1","pipeline":"p","key":"k","set":{set}}}"#);
    let watch = Stopwatch::start();
    // A stack that is too small for whoever follows what is nested: it would end the process.
    let refuses = move || {
        for (body, reason) in [
            (request(&deep), "recursion limit"),
            (request(&wide), "more than 1048576 are not read"),
            (format!("{{\"Records\":{deep}}}"), "recursion limit"),
            (
                format!("{{\"Records\":[{}]}}", ["1"; 2_000].join(",")),
                "at most 1000 records",
            ),
            (
                format!("{{\"source\":\"a\",\"detail-type\":\"b\",\"detail\":{deep}}}"),
                "recursion limit",
            ),
        ] {
            let error = intake::parse(&body).expect_err("it is refused").to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.len() < 1_000, "{} bytes of reason", error.len());
        }
        for text in [
            format!("x = {deep}"),
            format!("{}\n", "[a.".repeat(10_000)),
            format!("[{}]", vec!["a"; 10_000].join(".")),
            format!("pipeline = \"p\"\n{}", "k = 1\n".repeat(200_000)),
            (0..100_000).map(|i| format!("k{i} = 1\n")).collect(),
        ] {
            let problems = load(&text, &Overrides::new()).expect_err("it is refused");
            let told = problems.to_string();
            assert!(told.len() < 100_000, "{} bytes of problems", told.len());
        }
        assert!(Spec::from_canonical(format!("{{\"steps\":{deep}}}").as_bytes()).is_err());
        assert!(Spec::from_canonical(wide.as_bytes()).is_err());
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(refuses);
    thread.expect("starts").join().expect("everything was refused");
    assert!(watch.elapsed() < AT_ONCE, "{watch}");
}
