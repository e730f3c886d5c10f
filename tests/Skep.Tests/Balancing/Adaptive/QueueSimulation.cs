using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Packets;

namespace Skep.Tests.Balancing.Adaptive;

/// <summary>How requests find their backend in a simulation.</summary>
internal enum Method
{
    /// <summary>By the declared weights, as by a ring.</summary>
    Static,
    /// <summary>The backend with the fewest open connections for its weight.</summary>
    LeastConnections,
    /// <summary>By the weights of the controller, as by a ring.</summary>
    Adaptive,
    /// <summary>By the weights of the controller, of two backends the one with fewer open connections for its weight.</summary>
    AdaptiveTwoChoices,
}

/// <summary>A server: workers that take requests from one queue.</summary>
internal sealed class SimulatedServer(int workers, double meanSeconds)
{
    public int Workers => workers;

    public double MeanSeconds => meanSeconds;

    public int Weight { get; init; } = 1;

    public string? Zone { get; init; }

    public bool Canary { get; init; }

    /// <summary>How many times longer requests take that begin at a time.</summary>
    public Func<double, double> Slowdown { get; init; } = _ => 1;

    /// <summary>Whether it refuses connections at a time.</summary>
    public Func<double, bool> Refuses { get; init; } = _ => false;

    /// <summary>Whether it swallows connections at a time.</summary>
    public Func<double, bool> IsSilent { get; init; } = _ => false;

    public Func<double, bool> IsAlive { get; init; } = _ => true;

    public Func<double, bool> IsPresent { get; init; } = _ => true;

    public Func<double, bool> Drains { get; init; } = _ => false;
}

/// <summary>Poisson arrivals at servers with queues, in virtual time; seeded, so every run is the same.</summary>
internal sealed class QueueSimulation(IReadOnlyList<SimulatedServer> servers, double perSecond, Method method, ServicePolicy policy, int seed = 1, double trip = 0)
{
    private const double Handshake = 0.0001;

    // Direct return: what is seen is what clients acknowledge, some way off, each time after another while.
    private readonly bool _isDirect = trip > 0;

    private readonly Random _random = new(seed);
    private readonly PriorityQueue<Action, double> _events = new();
    private readonly Queue<(double Arrived, double Opened)>[] _queues = [.. servers.Select(_ => new Queue<(double, double)>())];
    private readonly int[] _busy = new int[servers.Count];
    private readonly int[] _active = new int[servers.Count];
    private readonly BackendReading[] _readings = new BackendReading[servers.Count];
    private readonly double[] _shares = [.. servers.Select(s => s.Weight / (double)servers.Sum(o => o.Weight))];
    private readonly ServiceController _controller = new();
    private readonly List<(double At, double Seconds)> _latencies = [];
    private double _now;

    /// <summary>Shares after every step of the controller.</summary>
    public List<(double At, double[] Shares)> History { get; } = [];

    public List<(double At, WeightDecision Decision)> Decisions { get; } = [];

    /// <summary>When requests failed, and where.</summary>
    public List<(double At, int Server)> Failures { get; } = [];

    /// <summary>When requests were given to a server.</summary>
    public List<(double At, int Server)> Given { get; } = [];

    public QueueSimulation Run(double seconds)
    {
        _events.Enqueue(Arrive, Exponential(1 / perSecond));
        if (method >= Method.Adaptive)
        {
            _events.Enqueue(Step, 0);
        }

        while (_events.TryDequeue(out var next, out var at) && at < seconds)
        {
            _now = at;
            next();
        }

        return this;
    }

    public double Mean(double from = 0) => _latencies.Where(l => l.At >= from).Average(l => l.Seconds);

    public double Quantile(double part, double from = 0)
    {
        var sorted = _latencies.Where(l => l.At >= from).Select(l => l.Seconds).Order().ToArray();
        return sorted[(int)(part * (sorted.Length - 1))];
    }

    public double ShareAt(double at, int server) => History.Last(h => h.At <= at).Shares[server];

    private void Arrive()
    {
        _events.Enqueue(Arrive, _now + Exponential(1 / perSecond));
        var server = Choose();
        var arrived = _now;
        Given.Add((_now, server));
        _active[server]++;
        _readings[server] = _readings[server] with { Opened = _readings[server].Opened + 1 };
        if (servers[server].Refuses(_now))
        {
            _active[server]--;
            _readings[server] = _readings[server] with { Refused = _readings[server].Refused + 1, Closed = _readings[server].Closed + 1 };
            Failures.Add((_now, server));
        }
        else if (servers[server].IsSilent(_now))
        {
            Failures.Add((_now, server));
            _events.Enqueue(() => _active[server]--, _now + 3);
        }
        else
        {
            var r = _readings[server];
            var opened = _isDirect ? Trip() : Handshake;
            _readings[server] = r with { Handshakes = r.Handshakes + 1, Timed = r.Timed + 1, HandshakeSeconds = r.HandshakeSeconds + opened, Requests = r.Requests + 1 };
            _queues[server].Enqueue((arrived, opened));
            Serve(server);
        }
    }

    private void Serve(int server)
    {
        while (_busy[server] < servers[server].Workers && _queues[server].TryDequeue(out var request))
        {
            _busy[server]++;
            _events.Enqueue(
                () =>
                {
                    _busy[server]--;
                    _active[server]--;
                    var took = _now - request.Arrived;
                    _latencies.Add((request.Arrived, took));
                    Tell(server, took, request.Opened);
                    Serve(server);
                },
                _now + Exponential(servers[server].MeanSeconds * servers[server].Slowdown(_now)));
        }
    }

    private void Tell(int server, double took, double opened)
    {
        var seen = took + (_isDirect ? Trip() : 0);
        var way = _isDirect ? Math.Min(seen, opened) : 0;
        void Answer()
        {
            var r = _readings[server];
            _readings[server] = r with { Answers = r.Answers + 1, ResponseSeconds = r.ResponseSeconds + seen - way, TripSeconds = r.TripSeconds + way, Closed = r.Closed + 1 };
        }

        if (_isDirect)
        {
            _events.Enqueue(Answer, _now + seen - took);
        }
        else
        {
            Answer();
        }
    }

    // Give or take a fifth.
    private double Trip() => trip * (0.8 + (0.4 * _random.NextDouble()));

    private int Choose()
    {
        if (method == Method.LeastConnections)
        {
            var least = servers.Select((s, i) => (_active[i] + 1d) / s.Weight).Min();
            var best = Enumerable.Range(0, servers.Count).Where(i => (_active[i] + 1d) / servers[i].Weight <= least + 1e-9).ToArray();
            return best[_random.Next(best.Length)];
        }

        var first = Pick();
        if (method == Method.AdaptiveTwoChoices)
        {
            var second = Pick();
            return _active[second] * _shares[first] < _active[first] * _shares[second] ? second : first;
        }

        return first;
    }

    private int Pick()
    {
        var point = _random.NextDouble() * _shares.Sum();
        for (var i = 0; i < _shares.Length; i++)
        {
            point -= _shares[i];
            if (point < 0)
            {
                return i;
            }
        }

        return Array.FindLastIndex(_shares, s => s > 0);
    }

    private void Step()
    {
        _events.Enqueue(Step, _now + WeightLaw.Period);
        var present = Enumerable.Range(0, servers.Count).Where(i => servers[i].IsPresent(_now)).ToArray();
        var model = new ServiceModel("simulated", Address(100), 80, IpProtocol.Tcp, [.. present.Select(i => new BackendModel(
            Address(i), 80, servers[i].Weight, servers[i].Drains(_now), servers[i].IsAlive(_now)) { Zone = servers[i].Zone, Canary = servers[i].Canary })])
        { Policy = policy, Forwarding = _isDirect ? ForwardingMode.IpIp : ForwardingMode.Nat };
        var (adjusted, decisions) = _controller.Step(TimeSpan.FromSeconds(_now), model, b => _readings[present.First(i => Address(i) == b.Address)]);
        Decisions.AddRange(decisions.Select(d => (_now, d)));
        double total = adjusted.Backends.Sum(b => b.TakesConnections ? b.RingWeight : 0L);
        Array.Clear(_shares);
        for (var k = 0; k < present.Length; k++)
        {
            _shares[present[k]] = total > 0 && adjusted.Backends[k].TakesConnections ? adjusted.Backends[k].RingWeight / total : 0;
        }

        History.Add((_now, [.. _shares]));
    }

    private static IpAddress Address(int server) => IpAddress.FromBytes([10, 0, 0, (byte)(server + 1)]);

    private double Exponential(double mean) => -mean * Math.Log(1 - _random.NextDouble());
}
