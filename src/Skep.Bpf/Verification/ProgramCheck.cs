using System.Globalization;
using Skep.Bpf.Asm;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification.Checking;

namespace Skep.Bpf.Verification;

/// <summary>
/// What our own verifier says of a program, with no kernel present. It reports what the newest kernels reject for certain; a program without a failure may still
/// be rejected, by an older kernel or for something this check does not follow (kernel types, callbacks, locks).
/// </summary>
/// <param name="Failure">The mistake that was found; null when none was.</param>
/// <param name="Walked">Instructions walked over all paths.</param>
/// <param name="IsComplete">False when there were too many paths to walk all.</param>
public sealed record ProgramCheck(CheckFailure? Failure, int Walked, bool IsComplete)
{
    /// <summary>Checks a program.</summary>
    public static ProgramCheck Run(ProgramSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        if (Encoding(spec) is { } failure)
        {
            return new ProgramCheck(failure, 0, true);
        }

        var walk = new ProgramWalk(spec);
        try
        {
            var complete = walk.Run();
            return new ProgramCheck(StackDepth(spec), walk.Steps, complete);
        }
        catch (Violation v)
        {
            var known = v is { Value: { } value, Register: >= 0 } ? string.Create(CultureInfo.InvariantCulture, $"R{v.Register} is {value.Describe()}") : "";
            return new ProgramCheck(Describe(spec, v.Rule, v.Message, known, walk.Slot), walk.Steps, true);
        }
    }

    private static CheckFailure? Encoding(ProgramSpec spec)
    {
        var code = spec.Instructions;
        foreach (var (slot, reason) in InstructionEncoding.Problems(code))
        {
            // The kernel looks at the fields of what it walks, and at the codes of all.
            if (reason == InstructionEncoding.Problem(code[slot]) && code[slot].Class != OpCodes.ClassLdx && InstructionEncoding.IsKnown(code[slot].Code))
            {
                continue;
            }

            var leaves = InstructionEncoding.Problem(code[slot]) is null && !code[slot].IsWideLoad || reason.Contains("outside", StringComparison.Ordinal);
            return Describe(spec, leaves ? VerifierRule.Flow : VerifierRule.Encoding, reason, "", slot);
        }

        if (!InstructionEncoding.Ends(code[^1]))
        {
            return Describe(spec, VerifierRule.Flow, "execution goes on outside the program", "", code.Count - 1);
        }

        for (var slot = 0; slot < code.Count; slot++)
        {
            if (code[slot].Code == (OpCodes.CallInstruction | OpCodes.SourceRegister))
            {
                return Describe(spec, VerifierRule.Encoding, "the kernel has no calls by register", "", slot);
            }

            slot += code[slot].IsWideLoad ? 1 : 0;
        }

        return Reachability.FirstUnreachable(code) is { } unreachable
            ? Describe(spec, VerifierRule.Unreachable, "no path leads here", "", unreachable)
            : null;
    }

    private static CheckFailure? StackDepth(ProgramSpec spec) => StackUse.FirstTooDeep(spec) is var (slot, depth)
        ? Describe(spec, VerifierRule.StackSize, string.Create(CultureInfo.InvariantCulture, $"the functions up to here use {depth} bytes of stack together, and there are 512"), "", slot)
        : null;

    private static CheckFailure Describe(ProgramSpec spec, string id, string detail, string known, int slot)
    {
        var rule = VerifierRule.Get(id);
        var next = slot + 1 < spec.Instructions.Count ? spec.Instructions[slot + 1] : default;
        var instruction = slot < spec.Instructions.Count ? Disassembler.Format(spec.Instructions[slot], next) : "";
        SourceLine? position = null;
        foreach (var line in spec.Lines)
        {
            position = line.Slot <= slot && (position is null || line.Slot >= position.Value.Slot) ? line : position;
        }

        return new CheckFailure(id, rule.Rule, rule.Mend, detail, known, slot, instruction, position);
    }
}
