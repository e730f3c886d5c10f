using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>Helpers that write into socket buffers: what they give and the bytes they leave are the same in the kernel, the twin and the interpreter.</summary>
public class SkbHelperConformance
{
    private const int EthernetHeader = 14;

    private enum Operation : uint
    {
        Store,
        L3,
        L4,
        Update,
        Pull,
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Command
    {
        public Operation Operation;
        public uint Offset;
        public ulong From;
        public ulong To;
        public ulong Flags;
    }

    private record struct Outcome(long Result, ulong Readable);

    /// <summary>Does what the packet says behind its Ethernet header.</summary>
    private sealed unsafe class Probe : TcProgram
    {
        private readonly HashMap<uint, Outcome> _outcomes = new(65536);
        private readonly Global<uint> _number = new();

        public override TcAction Run(ref TcContext context)
        {
            Command command;
            if (context.LoadBytes(EthernetHeader, &command, (uint)sizeof(Command)) < 0)
            {
                return TcAction.Shot;
            }

            var outcome = default(Outcome);
            outcome.Result = command.Operation switch
            {
                Operation.Store => Store(ref context, in command),
                Operation.L3 => context.L3ChecksumReplace(command.Offset, command.From, command.To, command.Flags),
                Operation.L4 => context.L4ChecksumReplace(command.Offset, command.From, command.To, (L4ChecksumFlags)command.Flags),
                Operation.Update => context.ChecksumUpdate((uint)command.To),
                _ => context.PullData(command.Offset),
            };
            outcome.Readable = (ulong)(context.DataEnd - context.Data);
            var number = _number.Value++;
            _outcomes.Update(in number, in outcome, UpdateMode.Any);
            return TcAction.Ok;
        }

        private static int Store(ref TcContext context, in Command command)
        {
            var bytes = command.To;
            return context.StoreBytes(command.Offset, &bytes, sizeof(ulong), (StoreFlags)command.Flags);
        }
    }

    [KernelFact]
    public void Checksums_of_every_kind_of_field_are_mended_the_same()
    {
        using var engines = Pair();
        ulong[] words = [0, 1, 0xFFFE, 0xFFFF, 0x10000, 0x1234_5678, 0xFFFF_0000, 0xFFFF_FFFF, 0x1_0000_0001];
        foreach (var operation in new[] { Operation.L3, Operation.L4 })
        {
            foreach (var size in new ulong[] { 0, 1, 2, 3, 4, 8, 15 })
            {
                foreach (var flags in new ulong[] { 0, 0x10, 0x20, 0x30, 0x60, 0x70, 0x100 })
                {
                    foreach (var from in words)
                    {
                        foreach (var to in words)
                        {
                            foreach (var field in new ushort[] { 0, 0xFFFF, 0xABCD })
                            {
                                Run(engines, new Command { Operation = operation, Offset = 80, From = from, To = to, Flags = size | flags }, field);
                            }
                        }
                    }
                }
            }
        }

        Assert.Empty(engines.CompareMaps());
    }

    [KernelFact]
    public void What_lies_outside_the_packet_or_at_an_odd_place_is_refused_the_same()
    {
        using var engines = Pair();
        uint[] offsets = [0, 1, 2, 14, 80, 81, 91, 92, 93, 97, 98, 99, 100, 101, 0xFFFE, 0xFFFF, 0x10000, int.MaxValue, uint.MaxValue];
        foreach (var operation in Enum.GetValues<Operation>())
        {
            foreach (var offset in offsets)
            {
                foreach (var flags in new ulong[] { 0, 1, 2, 3, 4, 7 })
                {
                    Run(engines, new Command { Operation = operation, Offset = offset, To = 0x0102030405060708, Flags = flags }, 0x1111);
                }
            }
        }

        Assert.Empty(engines.CompareMaps());
    }

    private static void Run(EnginePair engines, Command command, ushort field)
    {
        var packet = Enumerable.Range(0, 100).Select(i => (byte)i).ToArray();
        // Of no protocol that the kernel would look into.
        (packet[12], packet[13]) = (0x88, 0xB5);
        MemoryMarshal.Write(packet.AsSpan(EthernetHeader), in command);
        MemoryMarshal.Write(packet.AsSpan(80), in field);
        var difference = engines.Run(packet);
        Assert.True(difference is null, $"{command.Operation} at {command.Offset}, {command.From:x} to {command.To:x}, flags {command.Flags:x}: {difference}");
    }

    private static EnginePair Pair() => new(bind =>
    {
        var program = new Probe();
        var maps = ProgramGraph.Maps(program);
        foreach (var map in maps)
        {
            bind(map);
        }

        return ([program], maps);
    });
}
