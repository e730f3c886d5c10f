using System.Collections.Concurrent;
using System.Net.Sockets;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Connections of the client that stay open with data under way all the time. Each must go on to be answered by the backend that answered it first.</summary>
internal sealed class LastingConnections
{
    private const int MostBytes = 60_000;

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, CancellationTokenSource> _stopsOf = new();
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly List<(string Owner, Task Talk)> _talks = [];
    private volatile string _step = "the beginning";
    private int _answered;

    /// <summary>Answers so far.</summary>
    public int Answered => Volatile.Read(ref _answered);

    /// <summary>What went wrong, and during which step.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    /// <summary>What is being done to the balancer.</summary>
    public string Step
    {
        set => _step = value;
    }

    /// <summary>Backends that have some.</summary>
    public IEnumerable<string> Owners => _talks.Select(t => t.Owner).Distinct();

    /// <summary>Opens some more.</summary>
    public async Task OpenAsync(BalancerHosts hosts, int port, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var client = await hosts.ConnectAsync(port);
            var owner = await BalancerHosts.AskAsync(client, 1);
            var stop = _stopsOf.GetOrAdd(owner, _ => CancellationTokenSource.CreateLinkedTokenSource(_stop.Token));
            _talks.Add((owner, Task.Run(() => TalkAsync(client, owner, new Random(_talks.Count), stop.Token))));
        }
    }

    /// <summary>Ends those of one backend.</summary>
    public async Task StopAsync(string owner)
    {
        await _stopsOf[owner].CancelAsync();
        await Task.WhenAll(_talks.Where(t => t.Owner == owner).Select(t => t.Talk));
    }

    /// <summary>Ends all.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_talks.Select(t => t.Talk));
    }

    private async Task TalkAsync(TcpClient client, string owner, Random random, CancellationToken stop)
    {
        using (client)
        {
            try
            {
                while (!stop.IsCancellationRequested)
                {
                    var name = await BalancerHosts.AskAsync(client, random.Next(1, MostBytes));
                    if (name != owner)
                    {
                        _errors.Enqueue($"{_step}: {owner} became {name}");
                    }

                    Interlocked.Increment(ref _answered);
                }
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
            {
                _errors.Enqueue($"{_step}: {owner}: {e.Message}");
            }
        }
    }
}
