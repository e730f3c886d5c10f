using System.Net;
using System.Net.Sockets;

namespace Skep.KernelTests.Surroundings;

/// <summary>Two namespaces joined by a veth pair, and a UDP socket in each: datagrams go from the left to the right.</summary>
internal sealed class UdpPath : IDisposable
{
    private static readonly IPAddress s_leftAddress = IPAddress.Parse("10.77.0.1"), s_rightAddress = IPAddress.Parse("10.77.0.2");

    private readonly Socket _sender;
    private readonly Socket _receiver;

    public UdpPath()
    {
        (LeftInterface, RightInterface) = Left.Connect(Right, "left", "right", s_leftAddress, s_rightAddress);
        _sender = Left.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        _receiver = Right.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 });
        _receiver.Bind(new IPEndPoint(s_rightAddress, 0));
        _sender.Connect(_receiver.LocalEndPoint!);

        // Resolves the neighbour, so that later only datagrams are seen.
        Assert.Equal(0, SendAndReceive(0));
    }

    public TestNamespace Left { get; } = new();

    public TestNamespace Right { get; } = new();

    public int LeftInterface { get; }

    public int RightInterface { get; }

    public void Send(byte value) => _sender.Send([value]);

    /// <summary>The next datagram that arrives; what was dropped before it never comes.</summary>
    public byte Receive()
    {
        var buffer = new byte[1];
        _receiver.Receive(buffer);
        return buffer[0];
    }

    public byte SendAndReceive(byte value)
    {
        Send(value);
        return Receive();
    }

    public void Dispose()
    {
        _sender.Dispose();
        _receiver.Dispose();
        Left.Dispose();
        Right.Dispose();
    }
}
