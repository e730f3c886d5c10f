using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Skep.EndToEndTests.Balancing;

/// <summary>
/// Short connections of the client: each asks once, reads the answer and closes. Sockets that block, on some threads, which costs least; as many a second as asked for
/// where the machine can.
/// </summary>
internal sealed partial class ShortConnections : IDisposable
{
    // Of what all of this takes, the agents come first: they are what is tested. Connections take all that is left.
    private const int Niceness = 5, OfThread = 0;

    private const int Threads = 16, Servers = 8, AtOnce = 8;
    private const int TimeoutMilliseconds = 15_000;
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(0.9);
    private static readonly byte[] s_question = [1, 0, 0, 0, (byte)'?'];

    private readonly IPEndPoint _target;
    private readonly int _perSecond;
    private readonly long _started = TimeProvider.System.GetTimestamp();
    private readonly ManualResetEventSlim _stop = new();
    private readonly ConcurrentDictionary<string, int> _answers = new();
    private readonly ConcurrentDictionary<string, int> _slow = new();
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly Task _all;
    private readonly ConcurrentDictionary<string, int> _answersSince = new();
    private volatile string _step = "the beginning";
    private int _answered;
    private long _since;

    private ShortConnections(BalancerHosts hosts, IPEndPoint target, int perSecond)
    {
        (_target, _perSecond) = (target, perSecond);
        using var client = hosts.Namespace("client");
        client.Set("ipv4/ip_local_port_range", "1024 65535");
        client.Set("ipv4/tcp_tw_reuse", "1");
        client.Set("ipv4/tcp_syn_retries", "3");
        _all = Task.WhenAll(Enumerable.Range(0, Threads).Select(_ => client.RunAsync(Work)).ToArray());
    }

    /// <summary>Connections answered so far.</summary>
    public int Answered => Volatile.Read(ref _answered);

    /// <summary>What went wrong, and during which step.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    /// <summary>Connections a second so far.</summary>
    public double Rate => Answered / TimeProvider.System.GetElapsedTime(_started).TotalSeconds;

    /// <summary>Those that took a second or more, because a packet of theirs was lost: steps and how many.</summary>
    public string Slow => string.Join(", ", _slow.Select(s => $"{s.Key}: {s.Value}").DefaultIfEmpty("none"));

    /// <summary>What is being done to the balancer.</summary>
    public string Step
    {
        set => _step = value;
    }

    /// <summary>Starts.</summary>
    public static ShortConnections Start(BalancerHosts hosts, int port, int perSecond) => new(hosts, new IPEndPoint(IPAddress.Parse(BalancerHosts.Vip), port), perSecond);

    /// <summary>Answers short connections on a backend with its name.</summary>
    public static void Serve(BalancerHosts hosts, string backend, int port)
    {
        var listener = hosts.Listen(backend, port);
        for (var i = 0; i < Servers; i++)
        {
            new Thread(() => Serve(listener, Encoding.ASCII.GetBytes(backend))) { IsBackground = true, Name = backend }.Start();
        }
    }

    /// <summary>Connections that a backend answered.</summary>
    public int From(string backend) => _answers.GetValueOrDefault(backend);

    /// <summary>Connections that a backend answered of those that began after <see cref="CountAnew"/>; one that lost a packet on its way may end much later than it began.</summary>
    public int Since(string backend) => _answersSince.GetValueOrDefault(backend);

    /// <summary>From now on only connections that begin from now on count for <see cref="Since"/>.</summary>
    public void CountAnew()
    {
        Volatile.Write(ref _since, TimeProvider.System.GetTimestamp());
        _answersSince.Clear();
    }

    /// <summary>Waits until so many more were answered, or one failed.</summary>
    public async Task MoreAsync(int count)
    {
        var wanted = Answered + count;
        await Surroundings.Eventually.HoldsAsync(() => Task.FromResult(Answered >= wanted || !_errors.IsEmpty), TimeSpan.FromMinutes(2), () => $"{Answered} of {wanted}");
    }

    /// <summary>Ends when every connection that was begun has ended.</summary>
    public Task StopAsync()
    {
        _stop.Set();
        return _all;
    }

    public void Dispose()
    {
        StopAsync().GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private static void Serve(Socket listener, byte[] name)
    {
        _ = setpriority(OfThread, 0, Niceness);
        var buffer = new byte[64];
        try
        {
            while (true)
            {
                using var connection = listener.Accept();
                connection.ReceiveTimeout = TimeoutMilliseconds;
                Answer(connection, buffer, name);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static void Answer(Socket connection, byte[] buffer, byte[] name)
    {
        try
        {
            // The client sends its question at once and closes first.
            if (connection.Receive(buffer) > 0)
            {
                connection.Send(name);
                connection.Receive(buffer);
            }
        }
        catch (SocketException)
        {
            // The client sees it, and it is the client who reports.
        }
    }

    private void Work()
    {
        _ = setpriority(OfThread, 0, Niceness);
        var buffer = new byte[64];
        for (var done = 0L; !_stop.IsSet; done++)
        {
            var ahead = done - (TimeProvider.System.GetElapsedTime(_started).TotalSeconds * _perSecond / Threads);
            if (ahead > AtOnce)
            {
                _stop.Wait(TimeSpan.FromSeconds(AtOnce * (double)Threads / _perSecond));
            }

            Ask(buffer);
        }
    }

    private void Ask(byte[] buffer)
    {
        var (step, begun) = (_step, TimeProvider.System.GetTimestamp());
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = TimeoutMilliseconds };
            socket.Connect(_target);
            socket.Send(s_question);
            var length = socket.Receive(buffer);
            if (length == 0)
            {
                _errors.Enqueue($"{step}: closed without an answer");
                return;
            }

            var backend = Encoding.ASCII.GetString(buffer, 0, length);
            _answers.AddOrUpdate(backend, 1, static (_, count) => count + 1);
            if (begun >= Volatile.Read(ref _since))
            {
                _answersSince.AddOrUpdate(backend, 1, static (_, count) => count + 1);
            }

            Interlocked.Increment(ref _answered);
        }
        catch (SocketException e)
        {
            _errors.Enqueue($"{step}: {e.SocketErrorCode} after {TimeProvider.System.GetElapsedTime(begun).TotalSeconds:0.000} s");
        }

        if (TimeProvider.System.GetElapsedTime(begun) >= s_long)
        {
            _slow.AddOrUpdate(step, 1, static (_, count) => count + 1);
        }
    }

    [LibraryImport("libc")]
    private static partial int setpriority(int which, int who, int niceness);
}
