using System.Runtime.CompilerServices;
using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Engine;
using Skep.KernelTests.Compiler;

namespace Skep.KernelTests.Programming;

/// <summary>Pointers that know their bounds, on all three engines.</summary>
public unsafe class DynptrTests
{
    [KernelFact(Needs = ["packet dynptrs", "bpf_dynptr_adjust"])]
    public void Packets_are_read_changed_cut_and_cloned_alike() =>
        Differential.Check(() => new Packets(), RandomPackets.Make(80, 120), target: KernelTarget.Running);

    [KernelFact(Needs = ["packet dynptrs", "bpf_dynptr_adjust"])]
    public void Bytes_of_a_value_are_reached_by_any_offset() =>
        Differential.Check(() => new Values(), RandomPackets.Make(80, 64), static p => p.Slots.TryGet(0, out var v) ? $"{v.Bytes[3]} {v.Bytes[60]}" : "", target: KernelTarget.Running);

    [KernelFact(Needs = ["packet dynptrs", "bpf_dynptr_adjust"])]
    public void Records_of_any_size_are_written_in_place() => Differential.Check(
        () => new Records(), [.. Enumerable.Range(0, 40).Select(static i => (byte[])[(byte)i, (byte)(i * 7), .. new byte[62]])], static p => Drained(p.Ring), target: KernelTarget.Running);

    [KernelFact(Needs = ["packet dynptrs", "bpf_dynptr_adjust"])]
    public void A_full_ring_refuses_alike()
    {
        // 4096 bytes hold 3 records of 1016 + 8 bytes and no fourth; those thrown away take room, too, until the reader has passed them.
        var packets = Enumerable.Range(0, 6).Select(static i => (byte[])[255, (byte)(i % 3 == 1 ? 255 : 1), .. new byte[62]]);
        Differential.Check(() => new Records(), packets, static p => Drained(p.Ring), target: KernelTarget.Running);
    }

    [KernelFact(Needs = ["packet dynptrs", "bpf_dynptr_adjust"])]
    public void A_dynptr_over_a_TC_packet_sees_all_of_it_and_writes()
    {
        var packet = new byte[200];
        packet[12] = 8;
        var program = new OnTc();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        var actual = loaded.TestRun(packet);
        using var twin = new TwinEngine();
        var expected = twin.Run(new OnTc(), packet);
        Assert.Equal((int)expected.Action, actual.ReturnValue);
        Assert.Equal(expected.Packet.ToArray(), actual.Output);
        Assert.Equal(0x77, actual.Output[180]);
        var interpreted = new BytecodeInterpreter(ProgramCompiler.Compile(new OnTc(), KernelTarget.Running), twin).RunTc(packet);
        Assert.Equal(actual.Output, interpreted.Packet.ToArray());
    }

    [KernelTheory(Needs = ["packet dynptrs", "bpf_dynptr_adjust"])]
    [InlineData(typeof(Leaks), "what 'Reserve' gives is not given back on every path")]
    [InlineData(typeof(ReservesTwice), "is taken into a variable that still holds that of line")]
    [InlineData(typeof(Loops), "is not given back before it is taken again")]
    [InlineData(typeof(Copies), "a BpfDynptr is copied")]
    public void A_slip_is_refused_with_its_line(Type program, string text)
    {
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile((BpfProgram)Activator.CreateInstance(program, nonPublic: true)!, KernelTarget.Running));

        Assert.Contains(text, e.Message, StringComparison.Ordinal);
        Assert.Contains("SKEP0014", e.Message, StringComparison.Ordinal);
        Assert.Contains("DynptrTests.cs(", e.Message, StringComparison.Ordinal);
    }

    private static string Drained(RingBuffer<byte> ring)
    {
        using var reader = new RingBufferReader<byte>(ring);
        var text = new List<string>();
        reader.DrainBytes(bytes => text.Add($"{bytes.Length}:{bytes[0]}:{bytes[^1]}"));
        return string.Join(' ', text);
    }

    private sealed class Packets : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            if (BpfDynptr.FromPacket(ref context, out var packet) != 0 || packet.IsNull)
            {
                return XdpAction.Aborted;
            }

            if (packet.Read<byte>(1, out var at) != 0 || packet.Read<uint>(at, out var word) != 0)
            {
                // Outside: -E2BIG.
                packet.Write(0, packet.Size);
                return XdpAction.Drop;
            }

            packet.Write(0, word + 1);
            ulong room = 0;
            ref readonly var slice = ref packet.Slice((uint)at & 31, ref room);
            if (!Unsafe.IsNullRef(in slice))
            {
                packet.Write(8, slice);
            }

            if (packet.Clone(out var part) != 0 || part.Adjust(at & 63u, packet.Size) != 0)
            {
                return XdpAction.Tx;
            }

            ref var changed = ref part.WritableSlice(0, ref room);
            if (!Unsafe.IsNullRef(ref changed))
            {
                changed ^= 0x1122334455667788;
            }

            packet.Write(16, part.Size);
            packet.Write(20, (byte)(packet.IsReadOnly ? 1 : 2));
            return part.Write(2000, at) == -7 ? XdpAction.Pass : XdpAction.Aborted;
        }
    }

    private struct Room
    {
        public Sixty4 Bytes;
    }

    [InlineArray(64)]
    private struct Sixty4
    {
        private byte _first;
    }

    private sealed class Values : XdpProgram
    {
        public ArrayMap<Room> Slots { get; } = new(1);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            ref var slot = ref Slots.Find(0);
            if (Unsafe.IsNullRef(ref slot) || BpfDynptr.FromMemory(Unsafe.AsPointer(ref slot), (uint)sizeof(Room), out var bytes) != 0)
            {
                return XdpAction.Aborted;
            }

            var offset = (uint)data[0];
            var word = *(ushort*)(data + 2);
            if (bytes.Write(offset, in word) != 0)
            {
                return XdpAction.Drop;
            }

            ref var number = ref bytes.Data<uint>(4);
            if (!Unsafe.IsNullRef(ref number))
            {
                number += offset;
                *(uint*)(data + 4) = number;
            }

            return XdpAction.Pass;
        }
    }

    private struct Fill
    {
        public uint Size;
        public byte First, Last;
    }

    /// <summary>A record of a size the packet asks for: by construction, and by hand.</summary>
    private sealed class Records : XdpProgram
    {
        public RingBuffer<byte> Ring { get; } = new(4096);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            var fill = new Fill { Size = (data[0] * 4u) - (data[0] == 255 ? 4u : 0) + 1, First = data[0], Last = data[1] };
            var status = Ring.Write(fill.Size, static (ref record, ref fill) =>
            {
                record.Write(0, fill.First);
                record.Write(fill.Size - 1, fill.Last);
                return fill.Last != 255;
            }, ref fill);
            *(int*)(data + 4) = status;

            if (Ring.Reserve(16, out var record) == 0)
            {
                ref var first = ref record.Data<ulong>(0);
                ref var second = ref record.Data<ulong>(8);
                if (!Unsafe.IsNullRef(ref first) && !Unsafe.IsNullRef(ref second))
                {
                    first = 0x0101010101010101ul * data[0];
                    second = first + data[1];
                    if ((data[0] & 3) != 0)
                    {
                        record.Submit();
                        return XdpAction.Pass;
                    }
                }
            }

            record.Discard();
            return XdpAction.Drop;
        }
    }

    private sealed class OnTc : TcProgram
    {
        public override TcAction Run(ref TcContext context)
        {
            if (BpfDynptr.FromPacket(ref context, out var packet) != 0)
            {
                return TcAction.Shot;
            }

            byte room = 0;
            ref readonly var first = ref packet.Slice(12, ref room);
            if (Unsafe.IsNullRef(in first) || first != 8)
            {
                return TcAction.Shot;
            }

            return packet.Write(180, (byte)0x77) == 0 && packet.Write(200, (byte)1) != 0 ? TcAction.Ok : TcAction.Shot;
        }
    }

    private abstract class Mistake : XdpProgram
    {
        protected readonly RingBuffer<ulong> _ring = new(4096);
    }

    private sealed class Leaks : Mistake
    {
        public override XdpAction Run(ref XdpContext context)
        {
            if (_ring.Reserve(8, out var record) != 0)
            {
                return XdpAction.Drop;
            }

            record.Write(0, 1ul);
            record.Submit();
            return XdpAction.Pass;
        }
    }

    private sealed class ReservesTwice : Mistake
    {
        public override XdpAction Run(ref XdpContext context)
        {
            _ring.Reserve(8, out var record);
            if (context.RxQueue == 1)
            {
                _ring.Reserve(16, out record);
            }

            record.Submit();
            return XdpAction.Pass;
        }
    }

    private sealed class Loops : Mistake
    {
        public override XdpAction Run(ref XdpContext context)
        {
            Unsafe.SkipInit(out BpfDynptr record);
            for (var i = 0; i < context.RxQueue && i < 100; i++)
            {
                _ring.Reserve(8, out record);
            }

            record.Submit();
            return XdpAction.Pass;
        }
    }

    private sealed class Copies : Mistake
    {
        public override XdpAction Run(ref XdpContext context)
        {
            _ring.Reserve(8, out var record);
            var other = record;
            other.Submit();
            return XdpAction.Pass;
        }
    }
}
