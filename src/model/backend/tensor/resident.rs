//! What stays on the device from step to step: the places of masks' weights, and the rotations of the last positions.

use candle_core::Tensor;

use super::{Candle, wrong};
use crate::model::backend::{Done, RopeTable, Selection};

/// Rows of a rotary table, (T, 1, D/2) each.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    host: [Vec<f32>; 2],
    cos: Tensor,
    sin: Tensor,
}

impl Candle {
    /// The compact positions of a selection as indices into the flat tensor.
    pub(super) fn positions(&mut self, selection: &Selection) -> Done<Option<Tensor>> {
        let Selection::Subset(mask) = selection else { return Ok(None) };
        if let Some(places) = self.places.get(mask) {
            return Ok(Some(places.clone()));
        }
        let places = self.indices(&mask.positions().collect::<Vec<_>>())?;
        self.places.insert(mask.clone(), places.clone());
        Ok(Some(places))
    }

    /// The rows of a rotary table at some positions.
    pub(super) fn turns(&mut self, positions: &[u32], table: &RopeTable) -> Done<(Tensor, Tensor)> {
        let half = table.half;
        let pick = |values: &[f32]| -> Done<Vec<f32>> {
            let mut picked = Vec::with_capacity(positions.len() * half);
            for &position in positions {
                let at = position as usize * half;
                let row = values.get(at..at + half);
                picked.extend_from_slice(row.ok_or_else(|| wrong(format!("position {position} is not in the rotary table")))?);
            }
            Ok(picked)
        };
        let host = [pick(&table.cos)?, pick(&table.sin)?];
        match &self.turns {
            Some(turns) if turns.host == host => Ok((turns.cos.clone(), turns.sin.clone())),
            _ => {
                let upload = |values: &[f32]| Tensor::from_slice(values, (positions.len(), 1, half), &self.device);
                let (cos, sin) = (upload(&host[0])?, upload(&host[1])?);
                self.turns = Some(Turns { host, cos: cos.clone(), sin: sin.clone() });
                Ok((cos, sin))
            }
        }
    }
}
