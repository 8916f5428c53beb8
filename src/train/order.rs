//! The order in which rows come: a seeded shuffle of each source for every pass, sources in turn.

use crate::random::{below, mix};

/// Which rows each micro-batch takes. It is a function of seed and position alone, so a resumed run goes on exactly.
#[derive(Debug, Clone)]
pub struct Order {
    sizes: Vec<usize>,
    seed: u64,
    taken: u64,
    /// The current shuffle of each source, with its pass.
    shuffles: Vec<(u64, Vec<usize>)>,
}

impl Order {
    /// An order over sources with these numbers of rows. Sources without rows are passed over.
    pub fn new(sizes: Vec<usize>, seed: u64) -> Self {
        let shuffles = vec![(u64::MAX, Vec::new()); sizes.len()];
        Self { sizes, seed, taken: 0, shuffles }
    }

    /// Rows taken so far.
    pub fn position(&self) -> u64 {
        self.taken
    }

    /// Goes on after this many rows.
    pub fn seek(&mut self, position: u64) {
        self.taken = position;
    }

    /// The next row as (source, row); none when every source is empty. Row n comes from source n mod sources, so that
    /// every source has an equal share of each batch that their number divides.
    pub fn next_row(&mut self) -> Option<(usize, usize)> {
        if self.sizes.iter().all(|&size| size == 0) {
            return None;
        }
        loop {
            let sources = self.sizes.len() as u64;
            let (source, turn) = ((self.taken % sources) as usize, self.taken / sources);
            self.taken += 1;
            let size = self.sizes[source];
            if size == 0 {
                continue;
            }
            let (pass, place) = (turn / size as u64, (turn % size as u64) as usize);
            if self.shuffles[source].0 != pass {
                self.shuffles[source] = (pass, shuffled(size, self.seed, source as u64, pass));
            }
            return Some((source, self.shuffles[source].1[place]));
        }
    }
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
        let mut order = Order::new(vec![5, 3], 7);
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
        let mut whole = Order::new(vec![9], 1);
        let rows: Vec<_> = (0..25).filter_map(|_| whole.next_row()).collect();
        let mut resumed = Order::new(vec![9], 1);
        resumed.seek(11);
        assert_eq!((0..14).filter_map(|_| resumed.next_row()).collect::<Vec<_>>(), rows[11..]);
        assert_eq!(Order::new(vec![0, 0], 1).next_row(), None);
    }
}
