//! The order in which rows come: a seeded shuffle of each source for every pass, sources in turn.

use crate::random::{below, mix};

/// Which rows each micro-batch takes. It is a function of seed and position alone, so a resumed run goes on exactly.
#[derive(Debug, Clone)]
pub struct Order {
    sizes: Vec<usize>,
    /// The first source that is replayed, and the share of all of those.
    replay: Option<(usize, f64)>,
    seed: u64,
    taken: u64,
    /// The current shuffle of each source, with its pass.
    shuffles: Vec<(u64, Vec<usize>)>,
}

impl Order {
    /// An order over sources with these numbers of rows. Sources without rows are passed over. The sources take turns. Where the first
    /// of the replayed ones and a share of all rows are given, those from it on have that share, evenly spread, and take turns in it.
    pub fn new(sizes: Vec<usize>, replay: Option<(usize, f64)>, seed: u64) -> Self {
        let shuffles = vec![(u64::MAX, Vec::new()); sizes.len()];
        Self { sizes, replay, seed, taken: 0, shuffles }
    }

    /// Rows taken so far.
    pub fn position(&self) -> u64 {
        self.taken
    }

    /// Goes on after this many rows.
    pub fn seek(&mut self, position: u64) {
        self.taken = position;
    }

    /// The next row as (source, row); none when every source is empty. Row n of those that take turns comes from source n mod sources, so
    /// that every source has an equal share of each batch that their number divides.
    pub fn next_row(&mut self) -> Option<(usize, usize)> {
        let (first, share) = self.replay.unwrap_or((self.sizes.len(), 0.0));
        let filled = |sources: std::ops::Range<usize>| -> Vec<usize> { sources.filter(|&source| self.sizes[source] > 0).collect() };
        let (ordinary, replayed) = (filled(0..first), filled(first..self.sizes.len()));
        // Of the first n rows, so many are replayed.
        let before = |n: u64| if ordinary.is_empty() || replayed.is_empty() { 0 } else { (n as f64 * share).floor() as u64 };
        let n = self.taken;
        let (source, turn) = match before(n + 1) > before(n) {
            true => turn_of(&replayed, before(n))?,
            false if ordinary.is_empty() => turn_of(&replayed, n)?,
            false => turn_of(&ordinary, n - before(n))?,
        };
        self.taken += 1;
        let size = self.sizes[source];
        let (pass, place) = (turn / size as u64, (turn % size as u64) as usize);
        if self.shuffles[source].0 != pass {
            self.shuffles[source] = (pass, shuffled(size, self.seed, source as u64, pass));
        }
        Some((source, self.shuffles[source].1[place]))
    }
}

/// Whose turn it is, and the how manieth of its own.
fn turn_of(sources: &[usize], n: u64) -> Option<(usize, u64)> {
    let count = sources.len() as u64;
    let source = sources.get(n.checked_rem(count)? as usize)?;
    Some((*source, n / count))
}

/// Fisher–Yates with a counter-based generator.
fn shuffled(size: usize, seed: u64, source: u64, pass: u64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..size).collect();
    let stream = mix(mix(mix(seed) ^ source) ^ pass);
    for i in (1..size).rev() {
        rows.swap(i, below(stream, i as u64, i + 1));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_takes_every_row_once_and_sources_share_each_batch() {
        let mut order = Order::new(vec![5, 3], None, 7);
        let rows: Vec<_> = (0..30).filter_map(|_| order.next_row()).collect();
        for pass in 0..3 {
            let mut first: Vec<usize> = rows.iter().filter(|row| row.0 == 0).skip(pass * 5).take(5).map(|row| row.1).collect();
            first.sort_unstable();
            assert_eq!(first, [0, 1, 2, 3, 4]);
        }
        assert!(rows.chunks(4).take(7).all(|batch| batch.iter().filter(|row| row.0 == 0).count() == 2));
    }

    #[test]
    fn seeking_goes_on_exactly() {
        let mut whole = Order::new(vec![9], None, 1);
        let rows: Vec<_> = (0..25).filter_map(|_| whole.next_row()).collect();
        let mut resumed = Order::new(vec![9], None, 1);
        resumed.seek(11);
        assert_eq!((0..14).filter_map(|_| resumed.next_row()).collect::<Vec<_>>(), rows[11..]);
        assert_eq!(Order::new(vec![0, 0], None, 1).next_row(), None);
    }

    #[test]
    fn a_share_is_evenly_spread_and_leaves_the_others_order() {
        let mut plain = Order::new(vec![5, 7], None, 3);
        let mut mixed = Order::new(vec![5, 7, 4], Some((2, 0.125)), 3);
        let rows: Vec<_> = (0..80).filter_map(|_| mixed.next_row()).collect();
        for (batch, rows) in rows.chunks(8).enumerate() {
            assert_eq!(rows.iter().filter(|row| row.0 == 2).count(), 1, "batch {batch}");
        }
        let others: Vec<_> = rows.iter().copied().filter(|row| row.0 != 2).collect();
        assert_eq!(others, (0..70).filter_map(|_| plain.next_row()).collect::<Vec<_>>());
        let mut replayed: Vec<_> = rows.iter().filter(|row| row.0 == 2).take(4).map(|row| row.1).collect();
        replayed.sort_unstable();
        assert_eq!(replayed, [0, 1, 2, 3], "every row of a pass once");
        let mut resumed = Order::new(vec![5, 7, 4], Some((2, 0.125)), 3);
        resumed.seek(33);
        assert_eq!((0..20).filter_map(|_| resumed.next_row()).collect::<Vec<_>>(), rows[33..53]);
    }
}
