using Skep.Balancing;
using Skep.Balancing.Adaptive;

namespace Skep.Tests.Balancing.Adaptive;

public class BackendWatchTests
{
    private const double Step = WeightLaw.Period;

    [Fact]
    public void Requests_that_need_no_answer_do_not_make_a_backend_slow()
    {
        var watch = new BackendWatch();
        for (var i = 0u; i < 4 * 600; i++)
        {
            watch.Observe(Reading(requests: 10 * i, answers: 9 * i, seconds: 0.005), Step);
        }

        Assert.Equal(0.005, watch.Response, 1e-6);
    }

    [Fact]
    public void Requests_whose_end_was_not_seen_do_not_make_a_backend_slow()
    {
        var watch = new BackendWatch();
        for (var i = 0u; i < 4 * 600; i++)
        {
            watch.Observe(Reading(requests: 10 * i, answers: (10 * i) - (i / 40), seconds: 0.005) with { Opened = 10 * i }, Step);
        }

        Assert.Equal(0.005, watch.Response, 1e-6);
    }

    [Fact]
    public void A_backend_whose_datagrams_are_never_answered_is_not_silent()
    {
        var (log, names) = (new BackendWatch(), new BackendWatch());
        for (var i = 0u; i < 20; i++)
        {
            log.Observe(Reading(requests: 10 * i, answers: 0, seconds: 0), Step);
            names.Observe(Reading(requests: 10 * i, answers: Math.Min(100, 10 * i), seconds: 0.005), Step);
        }

        Assert.False(log.IsSilent);
        Assert.True(names.IsSilent);
    }

    [Fact]
    public void A_backend_that_stops_answering_shows_in_what_waits()
    {
        var watch = new BackendWatch();
        for (var i = 0u; i < 40; i++)
        {
            watch.Observe(Reading(requests: 25 * i, answers: 25 * i, seconds: 0.005) with { Opened = 25 * i }, Step);
        }

        // Two of twenty-five are answered, as quickly as before.
        for (var i = 0u; i < 8; i++)
        {
            watch.Observe(Reading(requests: 1000 + (25 * i), answers: 1000 + (2 * i), seconds: 0.005) with { Opened = 1000 + (25 * i) }, Step);
        }

        Assert.InRange(watch.Response, 0.1, 100);
    }

    [Fact]
    public void A_backend_that_is_fast_again_is_known_by_a_few_answers()
    {
        var watch = new BackendWatch();
        for (var i = 0u; i < 80; i++)
        {
            watch.Observe(Reading(requests: i, answers: i, seconds: 0.05), Step);
        }

        Assert.Equal(0.05, watch.Response, 1e-3);
        for (var i = 0u; i < 8; i++)
        {
            watch.Observe(Reading(requests: 80 + i, answers: 80 + i, seconds: 0.005, before: 79 * 0.05, of: 79), Step);
        }

        Assert.InRange(watch.Response, 0.004, 0.006);
    }

    private static BackendReading Reading(uint requests, uint answers, double seconds, double before = 0, uint of = 0) => new()
    {
        Requests = requests,
        Answers = answers,
        ResponseSeconds = before + ((answers - of) * seconds),
    };
}
