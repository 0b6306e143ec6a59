//! Wraps plain functions for [`Job::process`](super::Job::process), so that they run as they are.

/// Runs a function that returns one result.
pub fn one<I, O, E>(f: impl Fn(I) -> O + Sync) -> impl Fn(I) -> Result<Vec<O>, E> + Sync {
    move |input| Ok(vec![f(input)])
}

/// Runs a function that returns one result or none.
pub fn optional<I, O, E>(f: impl Fn(I) -> Option<O> + Sync) -> impl Fn(I) -> Result<Vec<O>, E> + Sync {
    move |input| Ok(f(input).into_iter().collect())
}

/// Runs a function that returns any number of results.
pub fn many<I, M, E>(f: impl Fn(I) -> M + Sync) -> impl Fn(I) -> Result<Vec<M::Item>, E> + Sync
where
    M: IntoIterator,
{
    move |input| Ok(f(input).into_iter().collect())
}

/// Runs a function that returns one result or fails.
pub fn try_one<I, O, E>(f: impl Fn(I) -> Result<O, E> + Sync) -> impl Fn(I) -> Result<Vec<O>, E> + Sync {
    move |input| Ok(vec![f(input)?])
}

/// Runs a function that returns one result or none, or fails.
pub fn try_optional<I, O, E>(
    f: impl Fn(I) -> Result<Option<O>, E> + Sync,
) -> impl Fn(I) -> Result<Vec<O>, E> + Sync {
    move |input| Ok(f(input)?.into_iter().collect())
}

/// Runs a function that returns any number of results or fails.
pub fn try_many<I, M, E>(f: impl Fn(I) -> Result<M, E> + Sync) -> impl Fn(I) -> Result<Vec<M::Item>, E> + Sync
where
    M: IntoIterator,
{
    move |input| Ok(f(input)?.into_iter().collect())
}
