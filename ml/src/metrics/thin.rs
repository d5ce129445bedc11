//! Curves of few points that look like those of many.

/// At most `most` of the points, the first and the last included: each time the one that is farthest from the line as
/// drawn so far is added (Douglas and Peucker 1973, by count instead of by tolerance). Of equal distances the earlier
/// one. Coordinates should have comparable ranges.
pub(super) fn thinned(points: &[(f64, f64)], most: usize) -> Vec<usize> {
    if points.len() <= most.max(2) {
        return (0..points.len()).collect();
    }
    let mut kept = vec![0, points.len() - 1];
    let mut open: Vec<Span> = Span::new(points, 0, points.len() - 1).into_iter().collect();
    while kept.len() < most {
        let Some(widest) = (0..open.len()).max_by(|a, b| {
            let (a, b) = (&open[*a], &open[*b]);
            a.distance.total_cmp(&b.distance).then(b.from.cmp(&a.from))
        }) else {
            break;
        };
        let Span { from, at, to, .. } = open.swap_remove(widest);
        kept.push(at);
        open.extend(Span::new(points, from, at));
        open.extend(Span::new(points, at, to));
    }
    kept.sort_unstable();
    kept
}

/// Points between two that are kept, and the farthest of them from their line.
struct Span {
    from: usize,
    at: usize,
    to: usize,
    distance: f64,
}

impl Span {
    /// None if there is nothing between, or nothing off the line.
    fn new(points: &[(f64, f64)], from: usize, to: usize) -> Option<Self> {
        let ((x1, y1), (x2, y2)) = (points[from], points[to]);
        let (dx, dy) = (x2 - x1, y2 - y1);
        let length = dx.hypot(dy);
        let mut best: Option<(usize, f64)> = None;
        for (at, point) in points.iter().enumerate().take(to).skip(from + 1) {
            let (x, y) = (point.0 - x1, point.1 - y1);
            let distance = match length > 0.0 {
                true => (dx * y - dy * x).abs() / length,
                false => x.hypot(y),
            };
            if distance > best.map_or(1e-12, |(_, most)| most) {
                best = Some((at, distance));
            }
        }
        best.map(|(at, distance)| Self {
            from,
            at,
            to,
            distance,
        })
    }
}
