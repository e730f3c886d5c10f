using System.Net;
using System.Net.Sockets;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// A server in a namespace whose requests take the time that it is told: so many at once, each for a time that scatters as much as it lasts, the others wait in line. One
/// request a connection.
/// </summary>
internal sealed class DelayedServer : IDisposable
{
    private static readonly byte[] s_answer = "done"u8.ToArray();

    private readonly Socket _listener;
    private readonly SemaphoreSlim _workers;
    private readonly TimeSpan _mean;
    private readonly Random _random;

    /// <summary>Starts to serve.</summary>
    /// <param name="host">Namespace.</param>
    /// <param name="port">Port.</param>
    /// <param name="workers">Requests at once.</param>
    /// <param name="mean">What one takes in the mean.</param>
    /// <param name="seed">Chance.</param>
    internal DelayedServer(string host, int port, int workers, TimeSpan mean, int seed)
    {
        (_workers, _mean, _random) = (new SemaphoreSlim(workers), mean, new Random(seed));
        _listener = NamespaceNetwork.Inside(host, () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.Listen(4096);
            return socket;
        });
        _ = AcceptAsync();
    }

    /// <summary>How many times as long requests take at present.</summary>
    internal Func<double> Slowdown { get; set; } = () => 1;

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The measurement is over.
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        using (connection)
        {
            try
            {
                var buffer = new byte[64];
                if (await connection.ReceiveAsync(buffer) == 0)
                {
                    return;
                }

                await _workers.WaitAsync();
                try
                {
                    await Task.Delay(Next());
                }
                finally
                {
                    _workers.Release();
                }

                await connection.SendAsync(s_answer);
                await connection.ReceiveAsync(buffer);
            }
            catch (SocketException)
            {
                // The client counts it.
            }
        }
    }

    private TimeSpan Next()
    {
        lock (_random)
        {
            return _mean * (-Math.Log(1 - _random.NextDouble()) * Slowdown());
        }
    }
}
