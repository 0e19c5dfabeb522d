//! `history`: how an image was made.

use serde_json::json;
use windlass_image::Image;
use windlass_image::config::History;

use super::failure::Failure;
use super::home::Home;
use super::out;

const WIDTH: usize = 60;

/// Lists the steps, the last first, with the layer that each made.
pub(super) fn history(home: &Home, name: &str, json: bool) -> Result<u8, Failure> {
    let image = home.require(name)?.image;
    let steps = steps(&image);
    if json {
        for step in &steps {
            let layer = step.layer.as_ref().map(|(digest, _)| digest);
            let bytes = step.layer.as_ref().map(|(_, bytes)| bytes);
            let said = step.said;
            let line = json!({"created": said.and_then(|said| said.created.as_deref()),
                "created_by": said.and_then(|said| said.created_by.as_deref()),
                "author": said.and_then(|said| said.author.as_deref()),
                "comment": said.and_then(|said| said.comment.as_deref()), "layer": layer, "bytes": bytes});
            out::line(&line.to_string())?;
        }
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = steps.iter().map(row).collect();
    out::table(&["CREATED", "CREATED BY", "BYTES", "COMMENT"], &rows)?;
    Ok(0)
}

struct Step<'i> {
    /// Nothing, for a layer of which the history is silent.
    said: Option<&'i History>,
    layer: Option<(String, u64)>,
}

fn steps(image: &Image) -> Vec<Step<'_>> {
    let mut layers = image.manifest.layers().iter().map(|layer| (layer.digest.to_string(), layer.size));
    let mut steps = Vec::new();
    for said in &image.config.contents().history {
        let layer = if said.empty_layer { None } else { layers.next() };
        steps.push(Step { said: Some(said), layer });
    }
    steps.extend(layers.map(|layer| Step { said: None, layer: Some(layer) }));
    steps.reverse();
    steps
}

fn row(step: &Step<'_>) -> Vec<String> {
    let text = |field: Option<&String>| field.map_or_else(String::new, |text| one_line(text));
    let bytes = step.layer.as_ref().map_or_else(|| "-".to_owned(), |(_, bytes)| bytes.to_string());
    match step.said {
        Some(said) => {
            vec![text(said.created.as_ref()), text(said.created_by.as_ref()), bytes, text(said.comment.as_ref())]
        }
        None => vec![String::new(), "(not told)".to_owned(), bytes, String::new()],
    }
}

/// What the image says of itself may hold what steers a terminal.
fn one_line(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(WIDTH).collect();
    if text.chars().nth(WIDTH).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_terminals_is_not_shown() {
        assert_eq!(one_line("a\u{1b}[2Jb\n"), "a [2Jb ");
        let long = one_line(&"x".repeat(100));
        assert!(long.chars().count() == WIDTH && long.ends_with('…'), "{long}");
    }
}
