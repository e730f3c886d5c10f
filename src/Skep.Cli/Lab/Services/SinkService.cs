using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Services;

/// <summary>Takes TCP connections, reads everything, and answers the number of bytes (8 bytes, little endian) when the sender has finished.</summary>
internal sealed class SinkService : IDisposable
{
    internal const int Port = 9000;

    private readonly Socket _listener;
    private readonly ConcurrentBag<Socket> _connections = [];

    internal SinkService(LabNode host)
    {
        _listener = host.Namespace.CreateSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(host.V4[0], Port));
        _listener.Listen(128);
        new Thread(Accept) { IsBackground = true, Name = "sink" }.Start();
    }

    private void Accept()
    {
        try
        {
            while (true)
            {
                var connection = _listener.Accept();
                _connections.Add(connection);
                new Thread(() => Drain(connection)) { IsBackground = true, Name = "sink connection" }.Start();
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // The listener is closed: the lab ends.
        }
    }

    private static void Drain(Socket connection)
    {
        try
        {
            using (connection)
            {
                var buffer = new byte[64 * 1024];
                long total = 0;
                for (int read; (read = connection.Receive(buffer)) > 0;)
                {
                    total += read;
                }

                connection.Send(BitConverter.GetBytes(total));
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // The sender sees it, and it is the sender who reports.
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        foreach (var connection in _connections)
        {
            connection.Dispose();
        }
    }
}
