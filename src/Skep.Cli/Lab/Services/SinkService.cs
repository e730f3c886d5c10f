using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Services;

/// <summary>Takes TCP connections, reads everything, and answers the number of bytes (8 bytes, little endian) when the sender has finished.</summary>
internal sealed class SinkService : IDisposable
{
    internal const int Port = 9000;

    /// <summary>Port of a sink that never lets more than about <see cref="SmallWindow"/> bytes be in flight.</summary>
    internal const int SmallWindowPort = 9001;
    internal const int SmallWindow = 48 * 1024;

    private readonly Socket[] _listeners;
    private readonly ConcurrentBag<Socket> _connections = [];

    internal SinkService(LabNode host)
    {
        _listeners = [Listen(host, Port, receiveBuffer: null), Listen(host, SmallWindowPort, SmallWindow)];
        foreach (var listener in _listeners)
        {
            new Thread(() => Accept(listener)) { IsBackground = true, Name = "sink" }.Start();
        }
    }

    private static Socket Listen(LabNode host, int port, int? receiveBuffer)
    {
        var listener = host.Namespace.CreateSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (receiveBuffer is { } bytes)
        {
            listener.ReceiveBufferSize = bytes; // Connections inherit it.
        }

        listener.Bind(new IPEndPoint(host.V4[0], port));
        listener.Listen(128);
        return listener;
    }

    private void Accept(Socket listener)
    {
        try
        {
            while (true)
            {
                var connection = listener.Accept();
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
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }

        foreach (var connection in _connections)
        {
            connection.Dispose();
        }
    }
}
