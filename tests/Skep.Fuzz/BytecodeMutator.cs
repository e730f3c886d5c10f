using Skep.Bpf.Asm;
using Skep.Bpf.Programs;

namespace Skep.Fuzz;

/// <summary>Changes a few instructions of a program: registers, codes, numbers, offsets, order. Loads of maps stay what they are. Deterministic in the seed.</summary>
internal sealed class BytecodeMutator(ulong seed, IReadOnlyList<ProgramSpec> seeds)
{
    private static readonly int[] s_numbers =
        [0, 1, -1, 2, 3, 4, 7, 8, 12, 13, 14, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 511, 512, 513, -8, -16, -512, -513, 0xffff, 0x10000, int.MaxValue, int.MinValue];

    private readonly Instruction[] _pool = [.. seeds.SelectMany(static s => s.Instructions.Where((i, slot) => !i.IsWideLoad && !IsSecondHalf(s.Instructions, slot)))];
    private SplitMix _random = new(seed);

    public ProgramSpec Next()
    {
        // A change makes nearly all of them invalid: what is valid, or nearly, is worth more tries.
        var spec = _random.Below(2) == 0 ? seeds[_random.Below(VerifySeeds.Valid)] : seeds[_random.Below(seeds.Count)];
        var code = spec.Instructions.ToArray();
        for (var changes = 1 + _random.Below(3); changes > 0; changes--)
        {
            Change(code);
        }

        return VerifySeeds.With(spec, code);
    }

    private void Change(Instruction[] code)
    {
        var at = _random.Below(code.Length);
        if (IsSecondHalf(code, at))
        {
            return;
        }

        var i = code[at];
        if (i.IsWideLoad)
        {
            code[at] = i with { Dst = (byte)_random.Below(10) };
            return;
        }

        switch (_random.Below(10))
        {
            case 0:
                code[at] = i with { Dst = (byte)_random.Below(11) };
                break;
            case 1:
                code[at] = i with { Src = (byte)_random.Below(11) };
                break;
            case 2 or 3:
                code[at] = i with { Immediate = s_numbers[_random.Below(s_numbers.Length)] };
                break;
            case 4:
                code[at] = i with { Offset = (short)(i.Offset + _random.Below(17) - 8) };
                break;
            case 5:
                // Another operation on the same operands.
                code[at] = i with { Code = _pool[_random.Below(_pool.Length)].Code };
                break;
            case 6:
                code[at] = _pool[_random.Below(_pool.Length)];
                break;
            case 7:
                // Nothing: goto +0.
                code[at] = new Instruction(0x05, 0, 0, 0, 0);
                break;
            case 8 when at + 1 < code.Length && !code[at + 1].IsWideLoad:
                (code[at], code[at + 1]) = (code[at + 1], i);
                break;
            default:
                code[at] = i with { Code = (byte)(i.Code ^ (1 << _random.Below(8))) };
                break;
        }

        if (code[at].IsWideLoad)
        {
            // By chance: its second half would be somebody's first.
            code[at] = i;
        }
    }

    private static bool IsSecondHalf(IReadOnlyList<Instruction> code, int slot) => slot > 0 && code[slot - 1].IsWideLoad && (slot < 2 || !IsSecondHalf(code, slot - 1));
}
