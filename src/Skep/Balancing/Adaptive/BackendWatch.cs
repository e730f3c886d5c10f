namespace Skep.Balancing.Adaptive;

/// <summary>
/// What the last seconds of a backend were like, from counters that only grow. Everything is a sum that fades with time: fast where much happens,
/// over up to ten seconds where little does, so that an estimate always rests on some samples.
/// </summary>
internal sealed class BackendWatch
{
    private const double FastSeconds = 1;
    private const double SlowSeconds = 10;
    private const double RateSeconds = 2;
    private const double LeastSeconds = 120;
    private const double WantedSamples = 20;
    private const double ErrorSeconds = 0.5;
    private const double SilentSeconds = 0.5;
    private const int SilentConnections = 3;

    // Times that scatter as much as they last are this much shorter, so many in a row, once in fifty times.
    private const ulong FreshSamples = 4;
    private const double MuchFaster = 0.25;

    private BackendReading? _last;
    private Times _handshakes;
    private Times _responses;
    private double _waitingSeconds;
    private double _least = double.PositiveInfinity;
    private double _waitingSeen;
    private Overtaken _overtaken = new();
    private double _attempts;
    private double _failures;
    private double _silence;
    private ulong _unheard;
    private double _asked;
    private double _confirmed;

    /// <summary>Samples behind <see cref="Response"/>.</summary>
    public double Responses => _responses.Count;

    /// <summary>Samples behind <see cref="Handshake"/>.</summary>
    public double Handshakes => _handshakes.Count;

    /// <summary>Mean time of a handshake in seconds; NaN without samples.</summary>
    public double Handshake => _handshakes.Mean;

    /// <summary>
    /// Time a request takes in seconds: what answered ones took, or what those that wait will take by Little's law when that is much more, because a
    /// backend that stops answering shows in what waits before it shows in what is answered. NaN without samples.
    /// </summary>
    public double Response
    {
        get
        {
            // A few moments at which some wait say little: only what is left after twice their scatter counts.
            var certain = _waitingSeconds * Math.Max(0, 1 - (2 / Math.Sqrt(Math.Max(1, _waitingSeen))));
            var ahead = certain / Math.Max(1, _responses.Count);
            return ahead > 1.5 * _responses.Mean || (_responses.Count == 0 && ahead > 0) ? ahead : _responses.Mean;
        }
    }

    /// <summary>
    /// How much of <see cref="Response"/> is not queueing, 0 to 1: the least it has been of late over what it is. Near 1 where there is room for more,
    /// small near saturation, where times swing by themselves and more traffic would make them swing more.
    /// </summary>
    public double Headroom { get; private set; } = 1;

    /// <summary>Failures of the last second or so: connections refused, requests on which the backend hung up.</summary>
    public double Failures => _failures;

    /// <summary>Share of connections that failed, 0 to 1.</summary>
    public double FailureShare => _failures == 0 ? 0 : Math.Min(1, _failures / Math.Max(_attempts, _failures));

    /// <summary>Connections that must have been answered in vain before silence says anything.</summary>
    public const int LeastUnheard = SilentConnections;

    /// <summary>Whether nothing at all was heard for half a second although several clients asked.</summary>
    public bool IsSilent => _silence >= SilentSeconds && _unheard >= SilentConnections;

    /// <summary>Seconds since clients ask in vain.</summary>
    public double Silence => _silence;

    /// <summary>Connections begun in that time.</summary>
    public ulong Unheard => _unheard;

    /// <summary>Connections begun of late, and those of them that went on; of backends whose answers are not seen.</summary>
    public (double Asked, double Confirmed) OneWay => (_asked, _confirmed);

    /// <summary>Takes the counters as they are now, <paramref name="elapsed"/> seconds after those before.</summary>
    /// <param name="now">The counters.</param>
    /// <param name="elapsed">Seconds.</param>
    /// <param name="oneWay">Whether answers are not seen, so that clients going on stands for them, and of requests only some are known.</param>
    public void Observe(in BackendReading now, double elapsed, bool oneWay = false)
    {
        if (_last is not { } before || now.Opened < before.Opened || now.Requests < before.Requests)
        {
            // The first look, or the counters began anew.
            _last = now;
            return;
        }

        _last = now;
        var answers = now.Answers - before.Answers;
        var handshakes = now.Handshakes - before.Handshakes;
        var timed = now.Timed - before.Timed;
        var keep = _responses.Add(answers, now.ResponseSeconds - before.ResponseSeconds, elapsed);
        // Datagrams may need no answer.
        var isTcp = now.Opened > 0;
        var waiting = isTcp ? Math.Max(0, now.Waiting) : 0;
        waiting -= _overtaken.Among(waiting, answers, elapsed);
        // What travels does not wait for the backend.
        _waitingSeconds = Math.Max(0, (_waitingSeconds * keep) + (waiting * elapsed) - (now.TripSeconds - before.TripSeconds));
        _waitingSeen = (_waitingSeen * keep) + waiting;
        _handshakes.Add(timed, now.HandshakeSeconds - before.HandshakeSeconds, elapsed);
        var lasts = Math.Exp(-elapsed / RateSeconds);
        _asked = oneWay ? (_asked * lasts) + (now.Opened - before.Opened) : 0;
        _confirmed = oneWay ? (_confirmed * lasts) + handshakes : 0;

        if (Response is > 0 and var response)
        {
            _least = Math.Min(_least * Math.Exp(elapsed / LeastSeconds), response);
            Headroom = _least / response;
        }

        var fade = Math.Exp(-elapsed / ErrorSeconds);
        var failures = now.Refused - before.Refused + now.Unanswered - before.Unanswered;
        _failures = (_failures * fade) + failures;
        // What went well is an answer; a connection without a request, an answered SYN.
        _attempts = (_attempts * fade) + (now.Requests > before.Requests ? answers : handshakes) + failures;

        // Whose datagrams were never answered is not asked for answers.
        var heard = answers + handshakes + failures > 0 || (!isTcp && now.Answers == 0);
        _unheard = heard ? 0 : _unheard + (now.Opened - before.Opened) + (oneWay ? 0 : now.Requests - before.Requests);
        _silence = heard || _unheard == 0 ? 0 : _silence + elapsed;
    }

    /// <summary>Forgets failures: the backend gets another chance.</summary>
    public void Pardon() => (_failures, _attempts, _silence, _unheard) = (0, 0, 0, 0);

    /// <summary>
    /// Requests that are counted as waiting and are not, because their end was not seen: the least number that waited for some seconds, once more than that were answered
    /// meanwhile, because those passed them.
    /// </summary>
    private struct Overtaken()
    {
        private const double Seconds = 5;

        private double _elapsed;
        private long _known;
        private long _least = long.MaxValue;
        private ulong _answers;

        public long Among(long waiting, ulong answers, double elapsed)
        {
            _known = Math.Min(_known, waiting);
            _least = Math.Min(_least, waiting);
            _answers += answers;
            _elapsed += elapsed;
            if (_elapsed >= Seconds)
            {
                _known = _answers > (ulong)(_least - _known) ? _least : _known;
                (_elapsed, _least, _answers) = (0, waiting, 0);
            }

            return _known;
        }
    }

    private struct Times
    {
        private double _sum;
        private double _perSecond;
        private double _freshSum;
        private ulong _fresh;

        public double Count { get; private set; }

        public readonly double Mean => Count > 0 ? _sum / Count : double.NaN;

        public double Add(ulong count, double sum, double elapsed)
        {
            // As many seconds of memory as the wanted number of samples takes at the rate of late.
            _perSecond += ((count / elapsed) - _perSecond) * (1 - Math.Exp(-elapsed / RateSeconds));
            var memory = Math.Clamp(WantedSamples / Math.Max(1e-9, _perSecond), FastSeconds, SlowSeconds);
            var keep = Math.Exp(-elapsed / memory);

            // One that is fast again has few requests to show it by: what it was like does not count for ten seconds more.
            _fresh += count;
            _freshSum += sum;
            if (_fresh >= FreshSamples)
            {
                var isFaster = _freshSum / _fresh < MuchFaster * Mean;
                (var (fresh, freshSum), _fresh, _freshSum) = ((_fresh, _freshSum), 0, 0);
                if (isFaster)
                {
                    (Count, _sum) = (fresh, freshSum);
                    return 0;
                }
            }

            Count = (Count * keep) + count;
            _sum = (_sum * keep) + sum;
            if (Count < 0.01)
            {
                (Count, _sum) = (0, 0);
            }

            return keep;
        }
    }
}
