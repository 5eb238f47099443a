//! Many partitions as several service sessions.

use std::collections::HashSet;

/// The partitions in groups of at most `most`, without those that are named twice. One group of all if it cannot be told whether two names
/// mean the same partition: it would be read twice.
pub(super) fn chunks(partitions: &[String], most: usize) -> Vec<Vec<String>> {
    if partitions.len() <= most {
        return vec![partitions.to_vec()];
    }
    let Some(distinct) = distinct(partitions) else {
        log::info!("{} partitions are planned by one session: their names may overlap", partitions.len());
        return vec![partitions.to_vec()];
    };
    distinct.chunks(most.max(1)).map(<[String]>::to_vec).collect()
}

/// The partitions without those that are named twice; `None` if two of them may overlap.
fn distinct(partitions: &[String]) -> Option<Vec<String>> {
    let mut keys: Option<Vec<String>> = None;
    let (mut exact, mut loose) = (HashSet::new(), HashSet::new());
    let mut distinct = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let pairs = partition.split(['/', ',']).map(|pair| pair.split_once('=')).collect::<Option<Vec<_>>>()?;
        let (names, values): (Vec<&str>, Vec<&str>) = pairs.into_iter().unzip();
        let names: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
        // With other keys, one may be inside of the other.
        if *keys.get_or_insert_with(|| names.clone()) != names {
            return None;
        }
        let values: Vec<String> = values.iter().map(|value| value.trim().replace(['\'', '"'], "")).collect();
        if !exact.insert(values.clone()) {
            continue;
        }
        // `01` and `1` are one partition if the key is a number, and two if it is a text.
        if !loose.insert(values.iter().map(|value| same_number(value)).collect::<Vec<_>>()) {
            return None;
        }
        distinct.push(partition.clone());
    }
    Some(distinct)
}

fn same_number(value: &str) -> String {
    value.parse::<i64>().map_or_else(|_| value.to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn groups_keep_the_order_and_leave_twins_out() {
        let partitions = named(&["dt=1/r=a", "DT='1',r=a", "dt=2/r=a", "dt=1/r=b", "dt=3/r=a", "dt=2/r=a"]);
        let groups = chunks(&partitions, 2);
        assert_eq!(groups, [named(&["dt=1/r=a", "dt=2/r=a"]), named(&["dt=1/r=b", "dt=3/r=a"])]);
        assert_eq!(chunks(&partitions, 6), std::slice::from_ref(&partitions), "few are left as they are");
        assert_eq!(chunks(&[], 2), [named(&[])]);
    }

    #[test]
    fn names_that_may_overlap_stay_together() {
        for names in [
            &["dt=1", "dt=1/r=a", "dt=2"][..],
            &["dt=1", "dt=01", "dt=2"],
            &["dt=1", "r=a", "dt=2"],
            &["dt=1", "dt", "dt=2"],
            &["dt=1/r=a", "r=b/dt=2", "dt=3/r=c"],
        ] {
            assert_eq!(chunks(&named(names), 1), [named(names)], "{names:?}");
        }
    }
}
