using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Programs;

/// <summary>
/// Descriptors of the types of kernel modules during the load of a program that uses them: a call of a module's function names the module
/// by an index into an array of them, whose first place stands for the kernel itself (kernel 5.16); a wide load has the descriptor in its second half.
/// </summary>
internal sealed class ModuleDescriptors : IDisposable
{
    private readonly List<string> _names = [];
    private readonly List<KernelHandle> _handles = [];

    /// <summary>The array; empty when no module is used.</summary>
    internal int[] Descriptors => _handles.Count == 0 ? [] : [0, .. _handles.Select(h => (int)h.DangerousGetHandle())];

    /// <summary>Opens the types of the modules that a program calls, reads or is attached to.</summary>
    /// <exception cref="BpfException">A module is not there.</exception>
    internal static ModuleDescriptors For(ProgramSpec spec, string? attachedTo)
    {
        var result = new ModuleDescriptors();
        try
        {
            foreach (var name in spec.ModuleReferences.Select(r => r.Module).Append(attachedTo).Append(spec.AttachType?.Module).OfType<string>().Distinct())
            {
                result._handles.Add(KernelTypes.OpenModule(name));
                result._names.Add(name);
            }

            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <summary>The descriptor of a module's types; 0 for the kernel.</summary>
    internal int DescriptorOf(string? module) => module is null ? 0 : (int)_handles[_names.IndexOf(module)].DangerousGetHandle();

    /// <summary>Writes indices and descriptors into the code.</summary>
    internal void Patch(ProgramSpec spec, byte[] code)
    {
        foreach (var (slot, module) in spec.ModuleReferences)
        {
            var at = spec.Instructions[slot].IsWideLoad ? slot + 1 : slot;
            var instruction = spec.Instructions[at];
            (at == slot
                ? instruction with { Offset = (short)(_names.IndexOf(module) + 1) }
                : instruction with { Immediate = DescriptorOf(module) }).Write(code.AsSpan(at * Instruction.Size));
        }
    }

    public void Dispose() => _handles.ForEach(h => h.Dispose());
}
