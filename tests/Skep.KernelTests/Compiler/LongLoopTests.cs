using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.KernelTests.Compiler;

/// <summary>Loops with more rounds than the verifier may have jumps pending, 8192, each round with ways out that data decides.</summary>
public unsafe class LongLoopTests
{
    private static readonly byte[][] s_packets = [.. RandomPackets.Make(4, 64)];

    [KernelFact]
    public void A_loop_of_twenty_thousand_rounds_may_be_left_in_two_ways() =>
        Differential.Check(() => new Searches(), s_packets, prepare: static p => p.Fill(), leastLevel: 2);

    [KernelFact]
    public void A_loop_over_a_packet_whose_length_is_unknown_may_be_left_in_two_ways() =>
        Differential.Check(() => new WalksPacket(), [.. RandomPackets.Make(3, 64), .. RandomPackets.Make(3, 1400), new byte[1400]], leastLevel: 2);

    [KernelFact]
    public void A_loop_of_a_hundred_thousand_rounds_may_be_left_in_two_ways_when_it_calls_back() =>
        Differential.Check(() => new SearchesByCall(), s_packets, prepare: static p => p.Fill(), target: new CompileTarget { Kernel = new Version(5, 17) });

    [KernelFact]
    public void A_plain_loop_of_a_hundred_thousand_rounds_is_counted_by_the_kernel() =>
        Differential.Check(() => new SearchesFurther(), s_packets, prepare: static p => p.Fill(), target: new CompileTarget { Kernel = new Version(6, 9) }, leastLevel: 3);

    public abstract class Searching : XdpProgram
    {
        protected readonly Global<Many> Bytes = new();

        internal void Fill()
        {
            for (var i = 0; i < 131_072; i++)
            {
                Bytes.Value[i] = (byte)(i < 19_990 || i is > 20_000 and < 99_900 ? i % 100 : i % 256);
            }
        }
    }

    private sealed class Searches : Searching
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            Span<byte> all = Bytes.Value;
            for (var i = 0; i < 20_000; i++)
            {
                if (all[i] == 100 + (data[0] & 1))
                {
                    data[1] = (byte)i;
                    return XdpAction.Tx;
                }

                if (all[i] > 250)
                {
                    break;
                }
            }

            return XdpAction.Pass;
        }
    }

    private sealed class SearchesFurther : Searching
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            Span<byte> all = Bytes.Value;
            var sum = 0u;
            for (var i = 0; i < 100_000; i++)
            {
                sum += all[i];
                if (all[i] == 100 + (data[0] & 1))
                {
                    *(uint*)(data + 4) = (uint)i;
                    break;
                }

                if (all[i] > 250)
                {
                    return XdpAction.Tx;
                }
            }

            *(uint*)(data + 8) = sum;
            for (var i = 5u; i < 131_070; i += 2)
            {
                sum = (sum << 1 | sum >> 31) ^ ((uint)all[(int)i] << 3) + all[(int)i + 1];
            }

            *(uint*)(data + 12) = sum;
            return XdpAction.Pass;
        }
    }

    private sealed class WalksPacket : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var end = context.DataEnd;
            var rounds = 0;
            for (var data = context.Data; data + 4 <= end && rounds < 16_000; data += 4, rounds++)
            {
                if (*(uint*)data == 0x1234_5678)
                {
                    return XdpAction.Tx;
                }

                if (data[3] == 255)
                {
                    return XdpAction.Drop;
                }
            }

            return XdpAction.Pass;
        }
    }

    private sealed class SearchesByCall : Searching
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var state = new State { Wanted = 100 + (data[0] & 1) };
            Loop.Run(100_000, (i, ref state) => Look(i, ref state), ref state);
            data[1] = (byte)state.Found;
            return state.Found != 0 ? XdpAction.Tx : XdpAction.Pass;
        }

        private LoopControl Look(uint i, ref State state)
        {
            Span<byte> all = Bytes.Value;
            if (i >= (uint)all.Length)
            {
                return LoopControl.Break;
            }

            var found = all[(int)i];
            if (found == state.Wanted)
            {
                state.Found = i;
                return LoopControl.Break;
            }

            return found > 250 ? LoopControl.Break : LoopControl.Continue;
        }

        private struct State
        {
            public int Wanted;
            public uint Found;
        }
    }

    [InlineArray(131_072)]
    public struct Many
    {
        private byte _first;
    }
}
