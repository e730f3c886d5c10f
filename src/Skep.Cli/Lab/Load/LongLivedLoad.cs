using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Load;

/// <summary>Connections that stay open and ask again and again. A connection that breaks or changes its service is an error.</summary>
internal sealed class LongLivedLoad : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

    private readonly CancellationTokenSource _stop;
    private readonly Connection[] _connections;
    private readonly Task[] _loops;

    private LongLivedLoad(CancellationTokenSource stop, Connection[] connections, Task[] loops)
    {
        _stop = stop;
        _connections = connections;
        _loops = loops;
    }

    /// <summary>Answers and errors so far.</summary>
    internal LoadResult Result { get; private init; } = new();

    /// <summary>Opens the connections; returns when every one has had its first answer.</summary>
    internal static async Task<LongLivedLoad> StartAsync(LabNode clients, IPEndPoint target, int count, TimeProvider time, CancellationToken cancellation)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var result = new LoadResult();
        var sources = target.AddressFamily == AddressFamily.InterNetwork ? clients.V4 : clients.V6;
        var connections = Enumerable.Range(0, count).Select(_ => new Connection()).ToArray();
        var loops = connections.Select((c, i) =>
            clients.Namespace.RunAsync(() => c.Run(sources[i % sources.Count], target, result, time, stop.Token))).ToArray();
        await Task.WhenAll(connections.Select(c => c.First)).WaitAsync(cancellation);
        return new LongLivedLoad(stop, connections, loops) { Result = result };
    }

    /// <summary>How many of the open connections a service holds.</summary>
    internal int HeldBy(string service) => _connections.Count(c => c.Service == service);

    /// <summary>Answers each connection had so far; comparing two moments shows whether every single one lives.</summary>
    internal IReadOnlyList<int> AnswersPerConnection() => [.. _connections.Select(c => c.Answers)];

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
        _stop.Dispose();
    }

    private sealed class Connection
    {
        private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile string? _service;
        private int _answers;

        internal Task First => _first.Task;

        internal string? Service => _service;

        internal int Answers => Volatile.Read(ref _answers);

        internal void Run(IPAddress source, IPEndPoint target, LoadResult result, TimeProvider time, CancellationToken stop)
        {
            try
            {
                using var socket = HttpExchange.Connect(source, target);
                while (!stop.IsCancellationRequested)
                {
                    var started = time.GetTimestamp();
                    var answer = HttpExchange.Ask(socket, keep: true);
                    if (_service is { } known && known != answer)
                    {
                        result.Error("moved to another service");
                    }

                    _service = answer;
                    Interlocked.Increment(ref _answers);
                    result.Answer(answer, time.GetElapsedTime(started));
                    _first.TrySetResult();
                    stop.WaitHandle.WaitOne(Pause);
                }
            }
            catch (Exception e) when (e is SocketException or InvalidDataException)
            {
                result.Error(e is SocketException s ? s.SocketErrorCode.ToString() : e.Message);
            }
            finally
            {
                _first.TrySetResult();
            }
        }
    }
}
