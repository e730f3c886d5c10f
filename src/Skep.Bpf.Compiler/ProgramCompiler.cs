using System.Reflection;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Emit;
using Skep.Bpf.Compiler.Frontend;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler;

/// <summary>Compiles a program object to eBPF.</summary>
public static class ProgramCompiler
{
    /// <summary>Compiles the <c>Run</c> method of <paramref name="program"/>, frozen as it is now, and the programs that it reaches by tail calls.</summary>
    /// <exception cref="CompileException">The method uses what a kernel program cannot; the message names file, line and what to write instead.</exception>
    public static ProgramSpec Compile(BpfProgram program, CompileTarget? target = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        return Compile(program, target ?? new CompileTarget(), new Dictionary<BpfProgram, ProgramSpec>(ReferenceEqualityComparer.Instance));
    }

    private static ProgramSpec Compile(BpfProgram program, CompileTarget target, Dictionary<BpfProgram, ProgramSpec> done)
    {
        if (done.TryGetValue(program, out var known))
        {
            return known;
        }

        var entry = program.GetType().GetMethod("Run", BindingFlags.Instance | BindingFlags.Public)
            ?? throw new CompileException(Rule.Unsupported, $"{program.GetType()} has no public Run method", default);
        _ = ProgramGraph.Maps(program);
        var section = ProgramKinds.Match(program.Section) ?? throw new CompileException(
            Rule.Unsupported, $"{program.GetType()}: no kind of program has the section '{program.Section}'", default);
        if (!IsOfKind(program, section.Kind))
        {
            throw new CompileException(
                Rule.Unsupported, $"{program.GetType()}: section '{program.Section}' is for {section.Kind.Program?.Name ?? "object files only"}", default);
        }

        try
        {
            return Compile(program, target, section, entry, done);
        }
        catch (Exception e) when (e is not (CompileException or OutOfMemoryException))
        {
            throw new CompileException(Rule.Internal, $"compiler fault in '{program.Name}': {e.Message}; please report it with the program\n{e.StackTrace}", new SourcePosition(program.Name, 0, 0));
        }
    }

    private static ProgramSpec Compile(
        BpfProgram program, CompileTarget target, SectionMatch section, MethodInfo entry, Dictionary<BpfProgram, ProgramSpec> done)
    {
        var function = new Translator(target, section.Kind, new FunctionTable(target)).Translate(program, entry);
        return Finish(function, program, section, program.Name, target, done: done);
    }

    /// <summary>From the translated function to the program.</summary>
    internal static ProgramSpec Finish(
        Ir.Function function, BpfProgram program, SectionMatch section, string name, CompileTarget target, (KernelTypeId Struct, AttachType Member)? table = null,
        Dictionary<BpfProgram, ProgramSpec>? done = null)
    {
        done ??= new Dictionary<BpfProgram, ProgramSpec>(ReferenceEqualityComparer.Instance);
        Pipeline.Run(function, target);
        var image = ProgramImage.Build(function, target);
        var tails = new List<TailTarget>();
        var spec = new ProgramSpec
        {
            Name = name,
            Type = section.Kind.Type,
            ExpectedAttachType = table?.Member ?? section.Section.Attach,
            AttachType = table?.Struct,
            AttachTarget = section.Target,
            Flags = section.Section.Flags,
            License = program.License,
            Instructions = image.Code,
            MapReferences = image.Maps,
            Lines = image.Lines,
            Functions = image.Functions,
            KernelFunctions = image.KernelFunctions,
            TailTargets = tails,
        };

        // Known before its targets are compiled: they may call it again.
        done.Add(program, spec);
        foreach (var array in spec.Maps.OfType<ProgramArray>())
        {
            for (var slot = 0; slot < array.Programs.Count; slot++)
            {
                if (array.Programs[slot] is { } next)
                {
                    tails.Add(new TailTarget(array, (uint)slot, Compile(next, target, done)));
                }
            }
        }

        return spec;
    }

    private static bool IsOfKind(BpfProgram program, ProgramKind kind)
    {
        for (var type = program.GetType(); type is not null; type = type.BaseType)
        {
            if (kind.Program == type || (type.IsGenericType && kind.Program == type.GetGenericTypeDefinition()))
            {
                return true;
            }
        }

        return false;
    }
}
