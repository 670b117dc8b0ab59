use std::{collections::HashMap, time::Duration};

use crate::{
    client::{Isolation, TestClient, TestRecord},
    deadline::{Deadline, pause},
};

/// How a mirrored partition differs from its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Source records that are nowhere in the copy.
    pub lost: usize,
    /// Copies of records that were already copied.
    pub repeated: usize,
    /// Positions in the copy at which it went back to an earlier record: (position, source position gone back to).
    pub rewinds: Vec<(usize, usize)>,
    /// The first thing that is wrong, for a person. `None` if the copy is exact.
    pub first_difference: Option<String>,
}

/// What a record is looked up by: all but its headers.
type Shape<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>);

/// Compares every record but for its offset: order, key, value, headers, timestamp.
///
/// The copy may lag: what it does not have yet at its end counts as lost. Repeats are found as going back to a record
/// that was there before, so records should differ from each other.
pub fn compare(source: &[TestRecord], copy: &[TestRecord]) -> Comparison {
    let mut positions: HashMap<Shape<'_>, Vec<usize>> = HashMap::new();
    for (position, record) in source.iter().enumerate() {
        positions
            .entry((record.timestamp, record.key.as_deref(), record.value.as_deref()))
            .or_default()
            .push(position);
    }
    let mut result = Comparison::default();
    let mut copied = vec![false; source.len()];
    let mut next = 0;
    for (position, record) in copy.iter().enumerate() {
        if source.get(next).is_some_and(|expected| expected.same_as(record)) {
            result.repeated += usize::from(copied[next]);
            copied[next] = true;
            next += 1;
            continue;
        }
        result.first_difference.get_or_insert_with(|| {
            format!(
                "at position {position} of the copy\n  expected {:?}\n  found    {record:?}",
                source.get(next)
            )
        });
        let key = (record.timestamp, record.key.as_deref(), record.value.as_deref());
        let same = positions
            .get(&key)
            .and_then(|found| found.iter().rev().find(|&&p| source[p].same_as(record)));
        // A record that the source does not have at all stays the first difference, and is passed over.
        if let Some(&found) = same {
            if found < next {
                result.rewinds.push((position, found));
            }
            result.repeated += usize::from(copied[found]);
            copied[found] = true;
            next = found + 1;
        }
    }
    result.lost = copied.iter().filter(|&&copied| !copied).count();
    if result.lost > 0 && result.first_difference.is_none() {
        let missing = copied.iter().position(|&copied| !copied).expect("one is lost");
        result.first_difference = Some(format!("the copy ends; missing is {:?}", source[missing]));
    }
    result
}

/// Waits until every partition of `copy` on `target` is exactly what `topic` on `source` has now, and fails with the
/// first difference, what is lost and what is repeated if it is not so in time.
pub fn assert_mirrored(source: &mut TestClient, target: &mut TestClient, topic: &str, copy: &str, within: Duration) {
    let deadline = Deadline::after(within);
    let originals = source.all_records(topic);
    let partitions = partitions_mirrored(target, copy, originals.len() as i32, deadline);
    assert_eq!(
        partitions,
        Some(originals.len() as i32),
        "partitions of {copy} after {within:?}"
    );
    for (partition, original) in originals.iter().enumerate() {
        let partition = partition as i32;
        // Offsets first: reading everything again and again would take the time from what is tested.
        while target.log_end(copy, partition, Isolation::ReadUncommitted) < original.len() as i64 && !deadline.passed()
        {
            pause(Duration::from_millis(50));
        }
        let mut found = target.records(copy, partition);
        while found.len() < original.len() && !deadline.passed() {
            pause(Duration::from_millis(200));
            found = target.records(copy, partition);
        }
        let comparison = compare(original, &found);
        assert!(
            comparison == Comparison::default() && found.len() == original.len(),
            "{copy}-{partition} is not {topic}-{partition} after {within:?}: source {}, copy {}, lost {}, repeated {}\n{}",
            original.len(),
            found.len(),
            comparison.lost,
            comparison.repeated,
            comparison.first_difference.unwrap_or_default()
        );
    }
}

/// Waits until `copy` has `count` partitions; gives how many it has at the end.
pub fn partitions_mirrored(target: &mut TestClient, copy: &str, count: i32, deadline: Deadline) -> Option<i32> {
    loop {
        let found = target.partition_count(copy);
        if found == Some(count) || deadline.passed() {
            return found;
        }
        pause(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(values: &[u32]) -> Vec<TestRecord> {
        values
            .iter()
            .map(|value| TestRecord::new("k", value.to_string()))
            .collect()
    }

    #[track_caller]
    fn check(source: &[u32], copy: &[u32], lost: usize, repeated: usize, rewinds: &[(usize, usize)]) -> Comparison {
        let result = compare(&records(source), &records(copy));
        assert_eq!(
            (result.lost, result.repeated, result.rewinds.as_slice()),
            (lost, repeated, rewinds)
        );
        result
    }

    #[test]
    fn an_exact_copy_has_no_difference() {
        assert_eq!(check(&[1, 2, 3], &[1, 2, 3], 0, 0, &[]), Comparison::default());
        assert_eq!(check(&[], &[], 0, 0, &[]), Comparison::default());
    }

    #[test]
    fn a_hole_is_loss() {
        check(&[1, 2, 3, 4], &[1, 2, 4], 1, 0, &[]);
        check(&[1, 2, 3], &[2, 3], 1, 0, &[]);
    }

    #[test]
    fn a_missing_end_is_loss_and_is_named() {
        let result = check(&[1, 2, 3], &[1], 2, 0, &[]);
        assert!(result.first_difference.expect("there is one").contains("missing"));
    }

    #[test]
    fn going_back_is_repetition_not_loss() {
        check(&[1, 2, 3, 4], &[1, 2, 3, 2, 3, 4], 0, 2, &[(3, 1)]);
        check(&[1, 2], &[1, 2, 1, 2], 0, 2, &[(2, 0)]);
    }

    #[test]
    fn swapped_records_are_seen() {
        assert!(
            check(&[1, 2, 3], &[1, 3, 2], 0, 0, &[(2, 1)])
                .first_difference
                .is_some()
        );
    }

    #[test]
    fn a_changed_record_is_loss_and_a_difference() {
        let result = check(&[1, 2, 3], &[1, 9, 3], 1, 0, &[]);
        assert!(result.first_difference.expect("there is one").contains("position 1"));
    }

    #[test]
    fn a_lost_header_repeat_is_seen() {
        let original = TestRecord::new("k", "v").header("h", Some(b"1")).header("h", None);
        let mut copy = original.clone();
        copy.headers.remove(0);
        assert_eq!(compare(&[original], &[copy]).lost, 1);
    }

    #[test]
    fn an_equal_neighbour_is_not_taken_for_a_repeat() {
        check(&[1, 1, 1], &[1, 1, 1], 0, 0, &[]);
    }
}
