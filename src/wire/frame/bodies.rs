//! Bodies that are numbers: of children, and of an entry.

/// The body of `Fork`, `Spare`, `Forget`, `Discard`: numbers of children.
pub(crate) mod ids {
    pub(crate) fn encode(ids: &[u64]) -> Vec<u8> {
        ids.iter().flat_map(|id| id.to_le_bytes()).collect()
    }

    pub(crate) fn decode(body: &[u8]) -> impl Iterator<Item = u64> {
        // A rest that is not a whole number did not come from this library and means
        // nothing.
        body.chunks_exact(8)
            .filter_map(|id| Some(u64::from_le_bytes(id.try_into().ok()?)))
    }
}

/// The first bytes of `Preload` and `Run`: which entry. The encoded arguments
/// follow.
pub(crate) mod job {
    use crate::registry::Id;

    pub(crate) const LENGTH: usize = Id::LENGTH;

    pub(crate) fn encode(id: Id) -> [u8; LENGTH] {
        id.encode()
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Id> {
        body.first_chunk().copied().map(Id::decode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Id;

    #[test]
    fn numbers_and_jobs_come_back() {
        let list = [1, u64::MAX, 7];
        assert!(ids::decode(&ids::encode(&list)).eq(list));
        assert_eq!(ids::decode(&[1, 2, 3]).count(), 0);
        let id = Id { index: 5, hash: 99 };
        assert_eq!(job::decode(&job::encode(id)), Some(id));
        assert_eq!(job::decode(&[0; 11]), None);
    }
}
