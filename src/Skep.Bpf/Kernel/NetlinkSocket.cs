using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Skep.Bpf.Kernel;

/// <summary>A socket for rtnetlink requests. It stays in the network namespace of the thread that opened it.</summary>
internal sealed unsafe class NetlinkSocket : IDisposable
{
    private const ushort Error = 2, Done = 3;
    private const ushort HasExtendedAck = 0x200, AckIsCapped = 0x100;
    private const ushort ExtendedAckMessage = 1;
    private const int BufferSize = 1 << 16;

    private readonly KernelHandle _handle;
    private readonly Lock _lock = new();
    private uint _sequence;

    internal NetlinkSocket()
    {
        var descriptor = LibC.socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, LibC.NETLINK_ROUTE);
        if (descriptor < 0)
        {
            throw new BpfException("Opening a netlink socket failed", Marshal.GetLastPInvokeError());
        }

        _handle = new KernelHandle(descriptor);

        // The kernel's words with an error, kernel 4.12; where it does not know them the number has to do.
        var on = 1;
        _ = LibC.setsockopt(descriptor, LibC.SOL_NETLINK, LibC.NETLINK_EXT_ACK, &on, sizeof(int));
        _ = LibC.setsockopt(descriptor, LibC.SOL_NETLINK, LibC.NETLINK_CAP_ACK, &on, sizeof(int));
    }

    internal delegate void Visit(ReadOnlySpan<byte> payload);

    /// <summary>Sends a request and waits for the answer; the payloads of answers go to <paramref name="visit"/>.</summary>
    /// <returns>0 or a negative errno, and the kernel's words about it.</returns>
    internal (int Status, string Message) Send(NetlinkMessage message, Visit? visit = null)
    {
        lock (_lock)
        {
            var sequence = ++_sequence;
            using var lease = _handle.Borrow();
            var request = message.ToArray(sequence);
            fixed (byte* pointer = request)
            {
                if (LibC.send(lease.Descriptor, pointer, request.Length, 0) < 0)
                {
                    return (-Marshal.GetLastPInvokeError(), "");
                }
            }

            return Receive(lease.Descriptor, sequence, visit);
        }
    }

    /// <summary>As <see cref="Send"/>; a failure is an exception that begins with <paramref name="what"/>.</summary>
    internal void Require(NetlinkMessage message, string what)
    {
        var (status, words) = Send(message);
        ThrowIfFailed(status, words, what);
    }

    /// <summary>As <see cref="Require"/>, to remove something: that it went already, with its interface perhaps, is as good.</summary>
    /// <param name="message">The request.</param>
    /// <param name="what">What failed, in words.</param>
    /// <param name="absence">The errno by which the kernel says that it is not there.</param>
    internal void RequireGone(NetlinkMessage message, string what, int absence = Errno.NoEntry)
    {
        var (status, words) = Send(message);
        if (status != -Errno.NoDevice && status != -absence)
        {
            ThrowIfFailed(status, words, what);
        }
    }

    public void Dispose() => _handle.Dispose();

    private static void ThrowIfFailed(int status, string words, string what) =>
        BpfException.ThrowIfFailed(status, words.Length > 0 ? $"{what} ({words})" : what);

    private static (int Status, string Message) Receive(int descriptor, uint sequence, Visit? visit)
    {
        var buffer = new byte[BufferSize];
        while (true)
        {
            nint received;
            fixed (byte* pointer = buffer)
            {
                received = LibC.recv(descriptor, pointer, buffer.Length, 0);
            }

            if (received < 0)
            {
                var error = Marshal.GetLastPInvokeError();
                if (error == Errno.Interrupted)
                {
                    continue;
                }

                return (-error, "");
            }

            var rest = buffer.AsSpan(0, (int)received);
            while (rest.Length >= NetlinkMessage.HeaderSize)
            {
                var length = BinaryPrimitives.ReadInt32LittleEndian(rest);
                if (length < NetlinkMessage.HeaderSize || length > rest.Length)
                {
                    break;
                }

                var message = rest[..length];
                rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
                if (BinaryPrimitives.ReadUInt32LittleEndian(message[8..]) != sequence)
                {
                    continue;
                }

                switch (BinaryPrimitives.ReadUInt16LittleEndian(message[4..]))
                {
                    case Error:
                        return ParseError(message);
                    case Done:
                        return (0, "");
                    default:
                        visit?.Invoke(message[NetlinkMessage.HeaderSize..]);
                        break;
                }
            }
        }
    }

    /// <summary>nlmsgerr: 0 error:4, 4 header of the request:16, its payload unless capped, then attributes.</summary>
    private static (int Status, string Message) ParseError(ReadOnlySpan<byte> message)
    {
        var flags = BinaryPrimitives.ReadUInt16LittleEndian(message[6..]);
        var body = message[NetlinkMessage.HeaderSize..];
        var status = BinaryPrimitives.ReadInt32LittleEndian(body);
        if ((flags & HasExtendedAck) == 0)
        {
            return (status, "");
        }

        var request = (flags & AckIsCapped) != 0 ? NetlinkMessage.HeaderSize : (BinaryPrimitives.ReadInt32LittleEndian(body[4..]) + 3) & ~3;
        var words = NetlinkMessage.Find(body[Math.Min(4 + request, body.Length)..], ExtendedAckMessage);
        return (status, Encoding.UTF8.GetString(words).TrimEnd('\0'));
    }
}
