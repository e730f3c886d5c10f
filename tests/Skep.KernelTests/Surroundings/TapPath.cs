using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Surroundings;

/// <summary>What goes with a packet in and out of the stack (<c>struct virtio_net_hdr</c>).</summary>
/// <param name="ChecksumStart">Where the device begins to sum up; 0 when the checksum is whole.</param>
/// <param name="ChecksumOffset">Where it writes the checksum, from there.</param>
/// <param name="GsoType">0 for a plain packet, 1 for TCP over IPv4, 4 over IPv6, 5 for UDP.</param>
/// <param name="GsoSize">Payload per segment.</param>
/// <param name="LinearLength">Bytes to be directly readable; for packets of more than a page.</param>
internal readonly record struct PacketShape(int ChecksumStart = 0, int ChecksumOffset = 0, byte GsoType = 0, int GsoSize = 0, int LinearLength = 0)
{
    public const int Size = 10;

    public void Write(Span<byte> header)
    {
        header[..Size].Clear();
        (header[0], header[1]) = (ChecksumStart != 0 ? (byte)1 : (byte)0, GsoType);
        BinaryPrimitives.WriteUInt16LittleEndian(header[2..], (ushort)LinearLength);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], (ushort)GsoSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], (ushort)ChecksumStart);
        BinaryPrimitives.WriteUInt16LittleEndian(header[8..], (ushort)ChecksumOffset);
    }

    public static PacketShape Read(ReadOnlySpan<byte> header) => (header[0] & 1) == 0
        ? new PacketShape(GsoType: header[1], GsoSize: BinaryPrimitives.ReadUInt16LittleEndian(header[4..]))
        : new PacketShape(
            BinaryPrimitives.ReadUInt16LittleEndian(header[6..]), BinaryPrimitives.ReadUInt16LittleEndian(header[8..]), header[1],
            BinaryPrimitives.ReadUInt16LittleEndian(header[4..]));
}

/// <summary>
/// Two taps in a namespace: a packet that is written to the one comes in there with partial checksums, as a super-packet, spread over pages, as its shape
/// says; the program under test runs, and what it lets pass goes out of the other, where it is read with the shape it has then.
/// </summary>
internal sealed unsafe partial class TapPath : IDisposable
{
    private const int TunDevice = 1, TapDevice = 2, NoPacketInformation = 0x1000, VirtioHeader = 0x4000;
    private const nuint SetInterface = 0x400454ca, SetOffload = 0x400454d0;
    private const uint OffloadChecksum = 1, OffloadTcp4 = 2, OffloadTcp6 = 4;
    private const short Readable = 1;

    private readonly TestNamespace _namespace = new();
    private readonly int _kind;
    private readonly KernelHandle _in;
    private readonly KernelHandle _out;
    private readonly List<IDisposable> _attached = [];

    /// <param name="program">The program under test; it lets packets pass by <see cref="TcAction.Unspec"/>.</param>
    /// <param name="offload">Whether the second tap takes partial checksums and super-packets; without, the kernel completes and cuts them.</param>
    /// <param name="withoutEthernet">Whether they are tun devices, whose packets begin at the IP header.</param>
    public TapPath(TcProgram program, bool offload, bool withoutEthernet = false)
    {
        _kind = withoutEthernet ? TunDevice : TapDevice;
        var (input, output) = _namespace.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
            return (Open("tap-in"), Open("tap-out"));
        });
        (_in, _out) = (new KernelHandle(input), new KernelHandle(output));
        Require(ioctl(output, SetOffload, offload ? (nint)(OffloadChecksum | OffloadTcp4 | OffloadTcp6) : 0), "TUNSETOFFLOAD");
        InputInterface = _namespace.Run(() => Up("tap-in"));
        OutputInterface = _namespace.Run(() => Up("tap-out"));
        Attach(program);
        Attach(new SendOn((uint)OutputInterface));
    }

    public int InputInterface { get; }

    public int OutputInterface { get; }

    public void Send(ReadOnlySpan<byte> packet, PacketShape shape = default)
    {
        var frame = new byte[PacketShape.Size + packet.Length];
        shape.Write(frame);
        packet.CopyTo(frame.AsSpan(PacketShape.Size));
        using var lease = _in.Borrow();
        fixed (byte* bytes = frame)
        {
            Require((int)write(lease.Descriptor, bytes, frame.Length), "Writing to the tap");
        }
    }

    /// <summary>The next packet that went out.</summary>
    public (byte[] Packet, PacketShape Shape) Receive()
    {
        using var lease = _out.Borrow();
        var ready = new PollDescriptor { Descriptor = lease.Descriptor, Events = Readable };
        Assert.True(poll(&ready, 1, 10_000) == 1, "no packet came out within ten seconds");
        var frame = new byte[PacketShape.Size + 70_000];
        fixed (byte* bytes = frame)
        {
            var length = (int)read(lease.Descriptor, bytes, frame.Length);
            Require(length, "Reading from the tap");
            return (frame[PacketShape.Size..length], PacketShape.Read(frame));
        }
    }

    public void Dispose()
    {
        _attached.ForEach(a => a.Dispose());
        _in.Dispose();
        _out.Dispose();
        _namespace.Dispose();
    }

    private void Attach(TcProgram program)
    {
        var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        _attached.Add(_namespace.Run(() => TcxLink.Attach(loaded, InputInterface, TcDirection.Ingress)));
        _attached.Add(loaded);
    }

    private static int Up(string name)
    {
        var index = RtNetlink.IndexOf(name);
        RtNetlink.SetUp(index);
        return index;
    }

    private int Open(string name)
    {
        const int readWrite = 2;
        var descriptor = LibC.open("/dev/net/tun", readWrite | LibC.O_CLOEXEC);
        Require(descriptor, "Opening /dev/net/tun");

        // struct ifreq: 0 name:16   16 flags:2
        Span<byte> request = stackalloc byte[40];
        request.Clear();
        System.Text.Encoding.ASCII.GetBytes(name, request);
        BinaryPrimitives.WriteUInt16LittleEndian(request[16..], (ushort)(_kind | NoPacketInformation | VirtioHeader));
        fixed (byte* bytes = request)
        {
            Require(ioctl(descriptor, SetInterface, (nint)bytes), "TUNSETIFF");
        }

        return descriptor;
    }

    private static void Require(int status, string what)
    {
        if (status < 0)
        {
            throw new BpfException($"{what} failed", -Marshal.GetLastPInvokeError());
        }
    }

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    private sealed class SendOn(uint index) : TcProgram
    {
        private readonly uint _index = index;

        public override TcAction Run(ref TcContext context) => (TcAction)TcContext.Redirect(_index, RedirectFlags.None);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(int descriptor, nuint request, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(int descriptor, byte* buffer, nint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int descriptor, byte* buffer, nint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(PollDescriptor* descriptors, nuint count, int milliseconds);
}
