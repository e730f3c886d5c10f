using System.Buffers.Binary;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Programs;

public sealed unsafe partial class LoadedProgram
{
    // Bytes a program may add: head room of a frame and tail room, together less than a page.
    private const int RoomToGrow = 4096;

    // struct xdp_md: 0 data, 4 data_end, 8 data_meta, 12 ingress_ifindex, 16 rx_queue_index, 20 egress_ifindex
    private const int XdpContextSize = 24;

    // struct __sk_buff up to hwtstamp; fields used: 8 mark, 36 ingress_ifindex, 40 ifindex, 164 gso_segs, 176 gso_size
    private const int SkBuffContextSize = 192;

    /// <summary>Runs the program in the kernel on a packet (<c>BPF_PROG_TEST_RUN</c>, kernel 4.12) and returns its verdict and the packet after it.</summary>
    /// <param name="packet">The packet from the Ethernet header on, 14 bytes at least.</param>
    /// <param name="options">Interface, repetitions.</param>
    /// <exception cref="BpfException">EINVAL: the packet is too short or long, or the interface does not exist; EOPNOTSUPP: the type has no test run.</exception>
    public TestRunResult TestRun(ReadOnlySpan<byte> packet, TestRunOptions? options = null)
    {
        var output = new byte[packet.Length + RoomToGrow];
        var outcome = TestRun(packet, output, options);
        return new TestRunResult(outcome.ReturnValue, output[..outcome.OutputLength], outcome.DurationNanoseconds);
    }

    /// <summary>As <see cref="TestRun(ReadOnlySpan{byte}, TestRunOptions?)"/>, into a buffer of the caller, without allocation.</summary>
    /// <param name="packet">The packet from the Ethernet header on, 14 bytes at least.</param>
    /// <param name="output">Where the packet after the run goes; ENOSPC when it does not fit. Empty when not wanted.</param>
    /// <param name="options">Interface, repetitions.</param>
    /// <exception cref="BpfException">See the other overload.</exception>
    public TestRunOutcome TestRun(ReadOnlySpan<byte> packet, Span<byte> output, TestRunOptions? options = null)
    {
        var context = stackalloc byte[SkBuffContextSize];
        var contextSize = options is null ? 0 : FillContext(new Span<byte>(context, SkBuffContextSize), packet.Length, options);
        using var lease = _handle.Borrow();
        fixed (byte* input = packet)
        fixed (byte* result = output)
        {
            var attributes = new ProgTestRunAttributes
            {
                Program = lease.Descriptor,
                DataIn = input,
                DataSizeIn = (uint)packet.Length,
                DataOut = result,
                DataSizeOut = (uint)output.Length,
                Repeat = (uint)(options?.Repeat ?? 1),
                ContextIn = contextSize > 0 ? context : null,
                ContextSizeIn = (uint)contextSize,
            };
            BpfException.ThrowIfFailed(
                BpfSyscall.ProgTestRun(ref attributes), $"Running program '{Name}' ({Type}) on a packet of {packet.Length} bytes failed");
            return new TestRunOutcome((int)attributes.ReturnValue, (int)attributes.DataSizeOut, (int)attributes.Duration);
        }
    }

    /// <summary>Runs a syscall program (kernel 5.14): it reads and writes the struct of the caller.</summary>
    /// <typeparam name="TArguments">The struct the program takes.</typeparam>
    /// <returns>What the program returned.</returns>
    /// <exception cref="BpfException">EINVAL when the program is of another type or reads more than the struct has.</exception>
    public int Call<TArguments>(ref TArguments arguments)
        where TArguments : unmanaged
    {
        using var lease = _handle.Borrow();
        fixed (TArguments* context = &arguments)
        {
            var attributes = new ProgTestRunAttributes { Program = lease.Descriptor, ContextIn = context, ContextSizeIn = (uint)sizeof(TArguments) };
            BpfException.ThrowIfFailed(BpfSyscall.ProgTestRun(ref attributes), $"Calling program '{Name}' ({Type}) failed");
            return (int)attributes.ReturnValue;
        }
    }

    private int FillContext(Span<byte> context, int packetLength, TestRunOptions options)
    {
        context.Clear();
        switch (Type)
        {
            case ProgramType.Xdp:
                BinaryPrimitives.WriteInt32LittleEndian(context[4..], packetLength);
                BinaryPrimitives.WriteInt32LittleEndian(context[12..], options.IngressInterface);
                BinaryPrimitives.WriteInt32LittleEndian(context[16..], options.ReceiveQueue);
                return XdpContextSize;
            case ProgramType.SchedCls or ProgramType.SchedAct or ProgramType.CgroupSkb:
                BinaryPrimitives.WriteUInt32LittleEndian(context[8..], options.Mark);
                BinaryPrimitives.WriteInt32LittleEndian(context[36..], options.IngressInterface);
                BinaryPrimitives.WriteInt32LittleEndian(context[40..], options.Interface);
                BinaryPrimitives.WriteInt32LittleEndian(context[164..], options.GsoSegments);
                BinaryPrimitives.WriteInt32LittleEndian(context[176..], options.GsoSize);
                return SkBuffContextSize;
            default:
                return 0;
        }
    }
}
