//! Which stages a target needs.

use super::{Dockerfile, Instruction, Stage};

/// The number of the stage to make.
pub(crate) fn target(file: &Dockerfile, name: Option<&str>) -> Option<usize> {
    match name {
        Some(name) => file.stage(name, file.stages.len()),
        None => Some(file.stages.len() - 1),
    }
}

/// What is needed for a stage, itself included, in order. `base` is the stage that another begins with, if it is one.
pub(crate) fn needed(file: &Dockerfile, target: usize, base: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut needed = vec![false; target + 1];
    needed[target] = true;
    // A stage refers to earlier ones only.
    for number in (0..=target).rev().filter(|number| *number <= target) {
        if !needed[number] {
            continue;
        }
        let others = base(number).into_iter().chain(copied(file, number));
        for other in others.collect::<Vec<_>>() {
            needed[other] = true;
        }
    }
    (0..=target).filter(|number| needed[*number]).collect()
}

fn copied(file: &Dockerfile, number: usize) -> impl Iterator<Item = usize> + '_ {
    let stage: &Stage = &file.stages[number];
    stage.steps.iter().filter_map(move |step| match &step.instruction {
        Instruction::Copy(copy) => file.stage(&copy.from.as_ref()?.text, number),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_to_the_target_is_needed() {
        let text = "FROM x AS a\nFROM x AS b\nFROM a AS c\nCOPY --from=1 / /\nFROM x AS d\nFROM x AS e\nCOPY --from=c / /\nCOPY --from=image / /";
        let file = Dockerfile::parse(text).unwrap();
        let base = |number: usize| file.stage(&file.stages[number].from.text, number);
        let of = |name| needed(&file, target(&file, name).unwrap(), base);
        assert_eq!(of(None), [0, 1, 2, 4]);
        assert_eq!(of(Some("c")), [0, 1, 2]);
        assert_eq!(of(Some("3")), [3]);
        assert_eq!(target(&file, Some("absent")), None);
    }
}
