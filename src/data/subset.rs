//! Some rows of a file, as a file.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::DataError;
use super::spec::{DataFormat, DataSpec};
use super::table::{Table, bytes_of, parse};

/// Some rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is: the source's own format, but JSONL for Parquet.
    pub format: DataFormat,
}

/// The rows of a source's file with these numbers (from 1, a header not counted), with every column, in the file's order. Lines of JSONL
/// and records of CSV (with the header) keep their bytes; the objects of a JSON list are written again, one a line, their keys in
/// order; rows of Parquet become lines of JSON. The result is read again and compared before it is returned. `file` stands for the
/// source where that was downloaded.
///
/// # Errors
/// When the file cannot be read, is one text, or what is written does not read as the rows that were to be kept.
pub fn subset(spec: &DataSpec, file: &str, numbers: &BTreeSet<usize>) -> Result<Subset, DataError> {
    let bytes = bytes_of(file)?;
    let table = parse(file, bytes.clone(), spec.format)?;
    let failed = |problem: &str| DataError::Format { file: spec.source.clone(), format: "data", problem: problem.into() };
    let keep = |number: &usize| numbers.contains(&(number + 1));
    let format = if table.format == DataFormat::Parquet { DataFormat::Jsonl } else { table.format };
    let bytes = match table.format {
        DataFormat::Text => return Err(failed("a plain text is one row, of which no part can be kept")),
        DataFormat::Jsonl | DataFormat::Auto => {
            let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            joined(lines.enumerate().filter(|(number, _)| keep(number)).map(|(_, line)| line))
        }
        DataFormat::Json => list(&bytes, &keep).ok_or_else(|| failed("its rows cannot be told apart"))?,
        DataFormat::Csv => {
            csv(&bytes, table.rows.len(), &keep).ok_or_else(|| failed("its records cannot be told apart by lines and quotes"))?
        }
        DataFormat::Parquet => {
            let lines = table.rows.iter().enumerate().filter(|(number, _)| keep(number));
            lines.map(|(_, row)| Value::Object(row.clone()).to_string() + "\n").collect::<String>().into_bytes()
        }
    };
    let again = parse(file, bytes.clone(), format)?;
    if !same(&again, &table, &keep) {
        return Err(failed("the rows that are kept do not read as before"));
    }
    Ok(Subset { bytes, format })
}

/// Lines one after another; one that ended the file gets an end.
fn joined<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for line in lines {
        if all.last().is_some_and(|&byte| byte != b'\n') {
            all.push(b'\n');
        }
        all.extend_from_slice(line);
    }
    all
}

fn list(bytes: &[u8], keep: &dyn Fn(&usize) -> bool) -> Option<Vec<u8>> {
    let rows: Vec<Value> = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()?;
    let kept: Vec<String> = rows.iter().enumerate().filter(|(number, _)| keep(number)).map(|(_, row)| row.to_string()).collect();
    Some(format!("[\n{}\n]\n", kept.join(",\n")).into_bytes())
}

/// The header and some records; none where lines and quotes do not make as many as the reader finds.
fn csv(bytes: &[u8], rows: usize, keep: &dyn Fn(&usize) -> bool) -> Option<Vec<u8>> {
    let mut records: Vec<&[u8]> = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, &byte) in bytes.iter().enumerate() {
        quoted ^= byte == b'"';
        if byte == b'\n' && !quoted {
            records.push(&bytes[start..=at]);
            start = at + 1;
        }
    }
    records.extend((start < bytes.len()).then(|| &bytes[start..]));
    // Whether a blank line is a row is the reader's affair.
    if records.len() != rows + 1 {
        records.retain(|record| !record.trim_ascii().is_empty());
    }
    let (header, records) = records.split_first().filter(|(_, records)| records.len() == rows)?;
    let kept = records.iter().enumerate().filter(|(number, _)| keep(number)).map(|(_, record)| *record);
    Some(joined(std::iter::once(*header).chain(kept)))
}

/// Whether the rows of a table are those that were to be kept of another. A column without a value may be missing.
fn same(again: &Table, before: &Table, keep: &dyn Fn(&usize) -> bool) -> bool {
    let bare = |row: &Map<String, Value>| -> Map<String, Value> {
        row.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let kept = before.rows.iter().enumerate().filter(|(number, _)| keep(number)).map(|(_, row)| bare(row));
    again.rows.iter().map(bare).eq(kept)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cut(name: &str, text: &[u8], numbers: &[usize]) -> Result<String, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let kept = subset(&DataSpec::new(file), file, &numbers.iter().copied().collect())?;
        Ok(String::from_utf8(kept.bytes).unwrap())
    }

    #[test]
    fn lines_and_records_keep_their_bytes() {
        let lines = b"{\"b\" : 1.50,  \"a\":\"x\"}\n\n{\"a\":\"y\"}\r\n{\"a\":\"z\", \"c\":[1]}";
        assert_eq!(cut("d.jsonl", lines, &[1, 3]).unwrap(), "{\"b\" : 1.50,  \"a\":\"x\"}\n{\"a\":\"z\", \"c\":[1]}");
        assert_eq!(cut("d.jsonl", lines, &[2]).unwrap(), "{\"a\":\"y\"}\r\n");
        let records = b"q,\"a\"\r\n\"one\nline \"\"more\"\", and\",007\r\ntwo,\r\nthree,3";
        assert_eq!(cut("d.csv", records, &[1, 3]).unwrap(), "q,\"a\"\r\n\"one\nline \"\"more\"\", and\",007\r\nthree,3");
        assert_eq!(cut("d.csv", b"q,a\n1,2\n3,4\n5,6\n", &[2]).unwrap(), "q,a\n3,4\n");
        assert_eq!(cut("d.json", b"[{\"z\": 1, \"a\": 2.0},\n{\"z\": 3}]", &[1]).unwrap(), "[\n{\"z\":1,\"a\":2.0}\n]\n");
        assert!(cut("d.txt", b"some text", &[1]).unwrap_err().to_string().contains("a plain text is one row"));
    }
}
