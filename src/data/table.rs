//! Tables: any supported file as rows of JSON values. CSV and Parquet by polars, JSON by [`super::json_rows`].

use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::{AnyValue, CsvReadOptions, DataFrame, ParquetReader, PolarsResult, SerReader};
use serde_json::{Map, Value};

use super::spec::DataFormat;
use super::{DataError, Emptiness, builtin, json_rows};
use crate::artifact::digest::sha256;

/// A file's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The file as written, for messages.
    pub file: String,
    /// Column names in the file's order.
    pub columns: Vec<String>,
    /// One object a row; a missing value is null.
    pub rows: Vec<Map<String, Value>>,
    /// What the file is.
    pub format: DataFormat,
    /// sha256 of the file's bytes.
    pub digest: String,
}

/// Reads a file, or a builtin data set.
///
/// Every CSV column is text, so that `007` stays `007`. A panic of polars on bad input is turned into an error here.
///
/// # Errors
/// When the file cannot be read or is not what its format says.
pub fn read(source: &str, format: DataFormat) -> Result<Table, DataError> {
    parse(source, bytes_of(source)?, format)
}

/// The bytes of a file, or of a builtin data set.
pub(super) fn bytes_of(source: &str) -> Result<Vec<u8>, DataError> {
    match source.strip_prefix("builtin:") {
        Some(name) => Ok(builtin::text(name).ok_or_else(|| DataError::Builtin(name.into()))?.as_bytes().to_vec()),
        None => std::fs::read(source).map_err(|error| DataError::Io { path: source.into(), source: error }),
    }
}

/// Reads bytes as the file of that name.
pub(super) fn parse(source: &str, bytes: Vec<u8>, format: DataFormat) -> Result<Table, DataError> {
    // A byte order mark is no part of the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    let format = match format {
        DataFormat::Auto => guess(source, &bytes)?,
        given => given,
    };
    let digest = sha256(&bytes);
    let name = format_name(format);
    let bad = |problem: String| DataError::Format { file: source.into(), format: name, problem };
    let text = if format == DataFormat::Parquet { "" } else { text(&bytes).map_err(bad)? };
    if format != DataFormat::Parquet && text.trim().is_empty() {
        return Err(DataError::Empty { file: source.into(), why: Emptiness::NoRows });
    }
    let (columns, rows) = match format {
        DataFormat::Jsonl | DataFormat::Auto => json_rows::lines(text).map_err(bad)?,
        DataFormat::Json => json_rows::list(text).map_err(bad)?,
        DataFormat::Text => (vec!["text".into()], vec![Map::from_iter([("text".into(), text.into())])]),
        DataFormat::Csv | DataFormat::Parquet => frame_rows(bytes, format).map_err(bad)?,
    };
    Ok(Table { file: source.into(), columns, rows, format, digest })
}

/// Rows of a file that polars reads.
fn frame_rows(bytes: Vec<u8>, format: DataFormat) -> Result<json_rows::Rows, String> {
    let is_csv = format == DataFormat::Csv;
    let read = quietly(|| frame(bytes, format))
        .map_err(|_| "the reader gave up on it".to_owned())?
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
    // polars takes doubled quotes out of cells alone.
    let header = |name: &str| if is_csv { name.replace("\"\"", "\"") } else { name.to_owned() };
    let columns: Vec<String> = read.get_column_names().iter().map(|name| header(name.trim_start_matches('\u{feff}'))).collect();
    if let Some(column) = columns.iter().find_map(|name| name.strip_suffix("_duplicated_0")) {
        return Err(format!("two columns are named {column:?}"));
    }
    let mut rows = vec![Map::new(); read.height()];
    for (name, column) in columns.iter().zip(read.columns()) {
        for (i, row) in rows.iter_mut().enumerate() {
            let value = column.get(i).map_err(|error| error.to_string())?;
            row.insert(name.clone(), json(&value));
        }
    }
    Ok((columns, rows))
}

/// How many readers are at work whose panics are answers, not defects.
static READING: AtomicUsize = AtomicUsize::new(0);

/// Calls a reader that may panic on bad input, without the panic's own words on stderr.
fn quietly<T>(read: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if READING.load(Ordering::SeqCst) == 0 {
                usual(info);
            }
        }));
    });
    READING.fetch_add(1, Ordering::SeqCst);
    let outcome = catch_unwind(AssertUnwindSafe(read));
    READING.fetch_sub(1, Ordering::SeqCst);
    outcome
}

fn frame(bytes: Vec<u8>, format: DataFormat) -> PolarsResult<DataFrame> {
    let cursor = Cursor::new(bytes);
    if format == DataFormat::Parquet {
        return ParquetReader::new(cursor).finish();
    }
    CsvReadOptions::default().with_has_header(true).with_infer_schema_length(Some(0)).into_reader_with_file_handle(cursor).finish()
}

fn guess(source: &str, bytes: &[u8]) -> Result<DataFormat, DataError> {
    if source.starts_with("builtin:") {
        return Ok(DataFormat::Jsonl);
    }
    let ending = Path::new(source).extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "jsonl" | "ndjson" => Ok(DataFormat::Jsonl),
        // Many .json files hold one object a line.
        "json" => {
            let first = bytes.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
            let lines = serde_json::from_slice::<Map<String, Value>>(first).is_ok();
            Ok(if lines { DataFormat::Jsonl } else { DataFormat::Json })
        }
        "csv" => Ok(DataFormat::Csv),
        "parquet" => Ok(DataFormat::Parquet),
        "txt" => Ok(DataFormat::Text),
        _ => Err(DataError::Format {
            file: source.into(),
            format: "data",
            problem: format!(
                "its ending {ending:?} says nothing; use .jsonl, .json, .csv, .parquet or .txt, or write format: in the pipeline"
            ),
        }),
    }
}

fn format_name(format: DataFormat) -> &'static str {
    match format {
        DataFormat::Csv => "CSV",
        DataFormat::Json => "JSON",
        DataFormat::Parquet => "Parquet",
        DataFormat::Text => "text",
        DataFormat::Jsonl | DataFormat::Auto => "JSONL",
    }
}

/// The bytes as text; says where they are none.
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text")
    })
}

/// A polars value as JSON; types that JSON does not know become text.
fn json(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(flag) => Value::Bool(*flag),
        AnyValue::String(text) => Value::String((*text).to_owned()),
        AnyValue::StringOwned(text) => Value::String(text.to_string()),
        AnyValue::Int8(n) => (*n).into(),
        AnyValue::Int16(n) => (*n).into(),
        AnyValue::Int32(n) => (*n).into(),
        AnyValue::Int64(n) => (*n).into(),
        AnyValue::UInt8(n) => (*n).into(),
        AnyValue::UInt16(n) => (*n).into(),
        AnyValue::UInt32(n) => (*n).into(),
        AnyValue::UInt64(n) => (*n).into(),
        // By its own shortest text: widened, 0.1 would be 0.10000000149011612.
        AnyValue::Float32(n) => n.to_string().parse().ok().and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number),
        AnyValue::Float64(n) => serde_json::Number::from_f64(*n).map_or(Value::Null, Value::Number),
        AnyValue::List(series) => Value::Array(series.iter().map(|value| json(&value)).collect()),
        AnyValue::StructOwned(parts) => {
            Value::Object(parts.1.iter().zip(&parts.0).map(|(field, value)| (field.name().to_string(), json(value))).collect())
        }
        AnyValue::Struct(_, _, fields) => Value::Object(
            fields.iter().zip(value._iter_struct_av()).map(|(field, value)| (field.name().to_string(), json(&value))).collect(),
        ),
        // Some writers do not say that their bytes are text; bytes that are none are nothing to read.
        AnyValue::Binary(bytes) => bytes_as_json(bytes),
        AnyValue::BinaryOwned(bytes) => bytes_as_json(bytes),
        other => Value::String(other.get_str().map_or_else(|| other.to_string(), str::to_owned)),
    }
}

/// Text where the bytes are UTF-8, a list of numbers where they are not.
fn bytes_as_json(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| Value::Array(bytes.iter().map(|&byte| byte.into()).collect()), |text| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_numbers_are_told_by_their_own_digits() {
        for (number, told) in [(0.1, "0.1"), (16_777_216.0, "16777216.0"), (-2.5e-8, "-2.5e-8")] {
            assert_eq!(json(&AnyValue::Float32(number)).to_string(), told);
        }
        assert_eq!(json(&AnyValue::Float32(f32::NAN)), Value::Null);
    }
}
