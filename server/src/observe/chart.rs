//! Charts as SVG that needs nothing else: lines over time, and bars. Colours come from the style of the page.

use maud::{Markup, html};

use super::units::{bytes, count};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
/// Room for the numbers on the left, above, on the right and below.
const LEFT: f64 = 72.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 12.0;
const BOTTOM: f64 = 24.0;

/// One line of a chart.
pub struct Series<'a> {
    pub name: &'a str,
    /// `series-1` or `series-2` of the style.
    pub class: &'a str,
    /// One value a second, the newest last.
    pub values: Vec<f64>,
}

/// What the values of a chart are.
#[derive(Clone, Copy)]
pub enum Scale {
    /// Bytes per second.
    Speed,
    Count,
}

impl Scale {
    fn label(self, value: f64) -> String {
        match self {
            Scale::Speed => speed(value),
            Scale::Count => count(value.round() as u64),
        }
    }

    /// The upper end of the axis: a round number, of which the half is one as well, that is not below `value`.
    fn ceiling(self, value: f64) -> f64 {
        let (base, steps): (f64, &[f64]) = match self {
            Scale::Speed => (1024.0, &[2.0, 4.0, 10.0, 20.0, 40.0, 100.0, 200.0, 400.0, 1024.0]),
            Scale::Count => (1000.0, &[4.0, 10.0, 20.0, 40.0, 100.0, 200.0, 400.0, 1000.0]),
        };
        let mut unit = 1.0;
        while unit * base < value {
            unit *= base;
        }
        steps.iter().map(|step| step * unit).find(|end| *end >= value).unwrap_or(unit * base)
    }
}

/// Lines over the last `seconds` seconds.
pub fn lines(title: &str, series: &[Series<'_>], seconds: usize, scale: Scale) -> Markup {
    let label = |value| scale.label(value);
    let highest = series.iter().flat_map(|line| &line.values).copied().fold(0.0, f64::max);
    let top = scale.ceiling(highest);
    let x = |ago: usize| LEFT + (WIDTH - LEFT - RIGHT) * (1.0 - ago as f64 / seconds as f64);
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
    let points = |line: &Series<'_>| {
        let last = line.values.len().saturating_sub(1);
        let shown = line.values.iter().enumerate().filter(|(i, _)| last - i <= seconds);
        shown.map(|(i, value)| format!("{:.1},{:.1}", x(last - i), y(*value))).collect::<Vec<_>>().join(" ")
    };
    let latest = |line: &Series<'_>| line.values.last().copied().unwrap_or(0.0);
    let spoken: Vec<String> = series.iter().map(|line| format!("{} {}", line.name, label(latest(line)))).collect();
    html! {
        figure {
            figcaption {
                span.title { (title) }
                @for line in series {
                    span.key { span.swatch.(line.class) {} (line.name) " " b { (label(latest(line))) } }
                }
            }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(format!("{title}: {}", spoken.join(", "))) {
                @for part in [0.0, 0.5, 1.0] {
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(top * part)) y2=(y(top * part)) {}
                    text.axis x=(LEFT - 8.0) y=(y(top * part) + 4.0) text-anchor="end" { (label(top * part)) }
                }
                @for ago in [seconds, seconds / 2, 0] {
                    text.axis x=(x(ago)) y=(HEIGHT - 6.0) text-anchor=(anchor(ago, seconds)) { (since(ago)) }
                }
                @for line in series {
                    polyline.(line.class) points=(points(line)) {}
                }
            }
        }
    }
}

fn anchor(ago: usize, seconds: usize) -> &'static str {
    match ago {
        0 => "end",
        _ if ago == seconds => "start",
        _ => "middle",
    }
}

fn since(ago: usize) -> String {
    match ago {
        0 => "now".into(),
        _ => format!("{} min ago", ago as f64 / 60.0),
    }
}

/// A bar of `value` in `whole`; beyond the whole it changes its colour. `whole` 0 shows no bar.
pub fn bar(value: f64, whole: f64) -> Markup {
    let part = if whole > 0.0 { value / whole } else { 0.0 };
    let class = if part > 1.0 { "over" } else { "fill" };
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(format!("{:.0} %", part * 100.0)) {
            rect.track width="100" height="8" {}
            @if part > 0.0 {
                // What is there is seen, however little it is.
                rect.(class) width=(format!("{:.2}", (part * 100.0).clamp(0.5, 100.0))) height="8" {}
            }
        }
    }
}

/// Bytes per second.
pub fn speed(value: f64) -> String {
    format!("{}/s", bytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_round() {
        let speed = [0.0, 3.0, 1000.0, 1025.0, 1e9].map(|value| Scale::Speed.label(Scale::Speed.ceiling(value)));
        assert_eq!(speed, ["2 B/s", "4 B/s", "1.00 KiB/s", "2.00 KiB/s", "1.00 GiB/s"]);
        let counts = [0.0, 4.0, 5.0, 999.0, 1001.0].map(|value| Scale::Count.ceiling(value));
        assert_eq!(counts, [4.0, 4.0, 10.0, 1000.0, 4000.0]);
    }

    #[test]
    fn lines_and_bars_stay_in_their_frame() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i) * 1e6).collect();
        let svg = lines("t", &[Series { name: "n", class: "series-1", values }], 300, Scale::Speed).into_string();
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let pairs: Vec<(f64, f64)> = points
            .split(' ')
            .map(|pair| pair.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap())
            .collect();
        assert_eq!(pairs.len(), 301);
        assert!(pairs.iter().all(|(x, y)| (LEFT..=WIDTH - RIGHT).contains(x) && (TOP..=HEIGHT - BOTTOM).contains(y)));
        assert!(bar(5.0, 1.0).into_string().contains("class=\"over\" width=\"100.00\""));
        assert!(!bar(3.0, 0.0).into_string().contains("fill"));
    }

    #[test]
    fn an_empty_chart_is_a_chart() {
        let svg =
            lines("t", &[Series { name: "n", class: "series-1", values: Vec::new() }], 300, Scale::Speed).into_string();
        assert!(svg.contains("points=\"\"") && !svg.contains("NaN"), "{svg}");
    }
}
