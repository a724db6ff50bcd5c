"""A clinic: patients, doctors with free hours, visits from the booking to the bill."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Annotated, Any, Literal, TypedDict

from ..schemas import Between
from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Field = Literal["general", "skin", "eyes", "heart", "bones"]
Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
Payment = Literal["cash", "card", "transfer"]

_BADGE = ("badge_in",)
_DRUGS = ("amoxicillin", "ibuprofen", "metformin", "cetirizine", "ramipril")


@dataclass
class Insurance:
    """Who pays.

    Attributes:
        company: Name of the insurer.
        policy: Number of the policy.
        share: The part of each bill that it pays.
    """

    company: str
    policy: str
    share: Annotated[float, Between(0, 1)] = 0.8


@dataclass
class Vitals:
    """What is measured at the beginning of a visit.

    Attributes:
        temperature: In degrees Celsius.
        pulse: Beats a minute.
        pressure: Upper and lower value in mmHg.
    """

    temperature: Annotated[float, Between(30, 45)]
    pulse: Annotated[int, Between(20, 250)]
    pressure: list[int] | None = None


class HourLine(TypedDict):
    """One of several free hours."""

    slot: str
    weekday: str
    hour: float


class VisitLine(TypedDict):
    """One of several visits."""

    visit: str
    doctor: str
    status: str


class Clinic(TableWorld):
    """Tables: `staff` {name, badge}, `patients` {patient_name, birth_year, allergies, insurance},
    `doctors` {doctor_name, field, fee}, `slots` {doctor, weekday, hour, taken}, `visits` {patient,
    doctor, slot, reason, urgent, status, vitals}, `prescriptions` {visit, drug, dose, days, refills},
    `bills` {visit, due, paid}."""

    name = "clinic"
    tables = ("staff", "patients", "doctors", "slots", "visits", "prescriptions", "bills")

    @tool(returns={"staff": str})
    def badge_in(self, badge: str) -> dict[str, Any]:
        """Identify a member of staff, as examining and prescribing need it.

        Args:
            badge: The six digits on the badge.
        """
        return {"staff": self.find("staff", badge=badge)}

    @tool(requires=_BADGE, ends=_BADGE, returns={"left": bool})
    def badge_out(self) -> dict[str, Any]:
        """End the work of the identified member of staff."""
        return {"left": True}

    @tool(returns={"patient": str})
    def register_patient(
        self,
        patient_name: str,
        birth_year: Annotated[int, Between(1900, 2026)],
        allergies: list[str] | None = None,
        insurance: Insurance | None = None,
    ) -> dict[str, Any]:
        """Register a new patient.

        Args:
            patient_name: Full name.
            birth_year: Year of birth.
            allergies: Substances that the patient must not get.
            insurance: Without it, the patient pays all.
        """
        if any(one["patient_name"] == patient_name for one in self.state["patients"].values()):
            raise ToolError(f"{patient_name} is registered already")
        record = {"patient_name": patient_name, "birth_year": birth_year, "allergies": list(allergies or ())}
        covered = None if insurance is None else asdict(insurance)
        return {"patient": self.add("patients", {**record, "insurance": covered})}

    @tool(returns={"patient": str, "birth_year": int})
    def find_patient(self, patient_name: str) -> dict[str, Any]:
        """Look up a patient.

        Args:
            patient_name: Full name.
        """
        patient = self.find("patients", patient_name=patient_name)
        return {"patient": patient, "birth_year": self.state["patients"][patient]["birth_year"]}

    @tool(returns={"allergies": list[str], "insured": bool, "visits": list[VisitLine]})
    def get_patient_record(self, patient: str) -> dict[str, Any]:
        """Tell allergies, insurance and visits of a patient.

        Args:
            patient: Id of the patient.
        """
        one = self.record("patients", patient)
        visits = [
            {"visit": key, "doctor": visit["doctor"], "status": visit["status"]}
            for key, visit in self.state["visits"].items()
            if visit["patient"] == patient
        ]
        return {"allergies": one["allergies"], "insured": one["insurance"] is not None, "visits": visits}

    @tool(returns={"share": float})
    def update_insurance(self, patient: str, insurance: Insurance | None) -> dict[str, Any]:
        """Note a patient's new insurance, or that there is none any more.

        Args:
            patient: Id of the patient.
            insurance: The new one, or null.
        """
        self.record("patients", patient)["insurance"] = None if insurance is None else asdict(insurance)
        return {"share": 0.0 if insurance is None else insurance.share}

    @tool(returns={"allergies": list[str]})
    def add_allergy(self, patient: str, substance: str) -> dict[str, Any]:
        """Note what a patient must not get.

        Args:
            patient: Id of the patient.
            substance: Name of the substance.
        """
        one = self.record("patients", patient)
        if substance in one["allergies"]:
            raise ToolError(f"{substance} is noted already")
        one["allergies"].append(substance)
        return {"allergies": one["allergies"]}

    @tool(returns={"doctor": str, "doctor_name": str, "fee": float})
    def find_doctor(self, field: Field) -> dict[str, Any]:
        """Find the doctor for a field, the one with the lowest fee.

        Args:
            field: What the doctor treats.
        """
        fitting = [(one["fee"], key) for key, one in self.state["doctors"].items() if one["field"] == field]
        if not fitting:
            raise ToolError(f"there is no doctor for {field} here; a general one can refer the patient")
        fee, doctor = min(fitting)
        return {"doctor": doctor, "doctor_name": self.state["doctors"][doctor]["doctor_name"], "fee": fee}

    @tool(returns={"slots": list[HourLine]})
    def list_free_hours(self, doctor: str, weekday: Weekday | None = None) -> dict[str, Any]:
        """List a doctor's free hours.

        Args:
            doctor: Id of the doctor.
            weekday: Only this day.
        """
        self.record("doctors", doctor)
        lines = [
            {"slot": key, "weekday": one["weekday"], "hour": one["hour"]}
            for key, one in self.state["slots"].items()
            if one["doctor"] == doctor and not one["taken"] and weekday in (None, one["weekday"])
        ]
        return {"slots": lines}

    @tool(returns={"visit": str, "doctor": str})
    def book_visit(self, patient: str, slot: str, reason: str, urgent: bool = False) -> dict[str, Any]:
        """Book a free hour for a patient.

        Args:
            patient: Id of the patient.
            slot: Id of the free hour.
            reason: Why the patient comes.
            urgent: Whether it cannot wait.
        """
        self.record("patients", patient)
        one = self._take(slot)
        record = {"patient": patient, "doctor": one["doctor"], "slot": slot, "reason": reason}
        visit = self.add("visits", {**record, "urgent": urgent, "status": "booked", "vitals": None})
        return {"visit": visit, "doctor": one["doctor"]}

    @tool(returns={"status": str})
    def confirm_visit(self, visit: str) -> dict[str, Any]:
        """Confirm a booked visit.

        Args:
            visit: Id of the visit.
        """
        self._visit(visit, "booked")["status"] = "confirmed"
        return {"status": "confirmed"}

    @tool(returns={"slot": str, "status": str})
    def move_visit(self, visit: str, slot: str) -> dict[str, Any]:
        """Move a visit to another free hour, after which it has to be confirmed anew.

        Args:
            visit: Id of the visit.
            slot: Id of the free hour.
        """
        one = self._visit(visit, "booked", "confirmed")
        doctor = self._take(slot)["doctor"]
        self.record("slots", one["slot"])["taken"] = False
        one.update(slot=slot, doctor=doctor, status="booked")
        return {"slot": slot, "status": "booked"}

    @tool(returns={"status": str})
    def cancel_visit(self, visit: str) -> dict[str, Any]:
        """Cancel a visit and free its hour.

        Args:
            visit: Id of the visit.
        """
        one = self._visit(visit, "booked", "confirmed")
        self.record("slots", one["slot"])["taken"] = False
        one["status"] = "cancelled"
        return {"status": "cancelled"}

    @tool(returns={"status": str})
    def check_in_patient(self, visit: str) -> dict[str, Any]:
        """Note that a patient with a confirmed visit has arrived.

        Args:
            visit: Id of the visit.
        """
        self._visit(visit, "confirmed")["status"] = "arrived"
        return {"status": "arrived"}

    @tool(requires=_BADGE, returns={"fever": bool})
    def record_vitals(self, visit: str, vitals: Vitals) -> dict[str, Any]:
        """Note what was measured, once the patient has arrived.

        Args:
            visit: Id of the visit.
            vitals: The values.
        """
        if vitals.pressure is not None and len(vitals.pressure) != 2:
            raise ToolError("the pressure is two numbers")
        self._visit(visit, "arrived")["vitals"] = asdict(vitals)
        return {"fever": vitals.temperature >= 38.0}

    @tool(requires=_BADGE, returns={"prescription": str})
    def prescribe_drug(
        self,
        visit: str,
        drug: str,
        dose: Annotated[float, Between(0.1, 5000)],
        days: Annotated[int, Between(1, 90)] = 7,
        refills: Annotated[int, Between(0, 5)] = 0,
    ) -> dict[str, Any]:
        """Prescribe a drug to a patient whose vitals were noted.

        Args:
            visit: Id of the visit.
            drug: Its name.
            dose: In milligrams a day.
            days: For how long.
            refills: How often it may be refilled.
        """
        one = self._visit(visit, "arrived")
        if one["vitals"] is None:
            raise ToolError("the vitals have to be recorded first")
        if drug in self.record("patients", one["patient"])["allergies"]:
            raise ToolError(f"the patient is allergic to {drug}")
        record = {"visit": visit, "drug": drug, "dose": dose, "days": days, "refills": refills}
        return {"prescription": self.add("prescriptions", record)}

    @tool(returns={"refills": int})
    def refill_prescription(self, prescription: str) -> dict[str, Any]:
        """Refill a prescription, as often as it allows.

        Args:
            prescription: Id of the prescription.
        """
        one = self.record("prescriptions", prescription)
        if one["refills"] < 1:
            raise ToolError(f"{prescription} has no refills left")
        one["refills"] -= 1
        return {"refills": one["refills"]}

    @tool(requires=_BADGE, returns={"bill": str, "due": float})
    def finish_visit(self, visit: str) -> dict[str, Any]:
        """End a visit and write the patient's bill, less what the insurance pays.

        Args:
            visit: Id of the visit.
        """
        one = self._visit(visit, "arrived")
        fee = self.record("doctors", one["doctor"])["fee"] * (1.5 if one["urgent"] else 1.0)
        insurance = self.record("patients", one["patient"])["insurance"]
        due = round(fee * (1 - (insurance["share"] if insurance else 0.0)), 2)
        one["status"] = "done"
        return {"bill": self.add("bills", {"visit": visit, "due": due, "paid": False}), "due": due}

    @tool(returns={"change": float})
    def pay_bill(
        self, bill: str, amount: Annotated[float, Between(minimum=0)], method: Payment = "card"
    ) -> dict[str, Any]:
        """Pay a bill.

        Args:
            bill: Id of the bill.
            amount: What is paid; only in cash may it be more than what is due.
            method: How.
        """
        one = self.record("bills", bill)
        if one["paid"]:
            raise ToolError(f"{bill} is paid already")
        if amount < one["due"] or (method != "cash" and amount > one["due"]):
            raise ToolError(f"{one['due']} is due")
        one.update(paid=True, method=method)
        return {"change": round(amount - one["due"], 2)}

    def _take(self, slot: str) -> dict[str, Any]:
        one = self.record("slots", slot)
        if one["taken"]:
            raise ToolError(f"{slot} is taken")
        one["taken"] = True
        return one

    def _visit(self, visit: str, *allowed: str) -> dict[str, Any]:
        one = self.record("visits", visit)
        if one["status"] not in allowed:
            raise ToolError(f"{visit} is {one['status']}, not {' or '.join(allowed)}")
        return one

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Staff, patients, doctors with free hours, and a booked visit of every other patient."""
        draw = Draw(random, size)
        names = draw.people(2 * draw.size + 2)
        badges = random.sample(range(100_000, 1_000_000), 2)
        staff = ({"name": names[place], "badge": str(badge)} for place, badge in enumerate(badges))
        draw.table("staff", "ST", staff)
        fields = random.sample(("general", "skin", "eyes", "heart", "bones"), min(draw.size, 5))
        people = iter(names[2:])
        known = [
            {"doctor_name": f"Dr {next(people)}", "field": field, "fee": draw.amount(40, 200)}
            for field in fields
        ]
        doctors = draw.table("doctors", "D", known)
        hours = [
            {
                "doctor": doctor,
                "weekday": draw.one(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")),
                "hour": 8 + place + draw.one((0.0, 0.5)),
                "taken": False,
            }
            for doctor in doctors
            for place in range(3)
        ]
        patients = [
            {
                "patient_name": name,
                "birth_year": draw.number(1940, 2015),
                "allergies": draw.some(_DRUGS, 2),
                "insurance": {"company": "Sanitas", "policy": draw.code(7), "share": draw.amount(0, 1)}
                if draw.number(0, 2)
                else None,
            }
            for name in people
        ]
        slots = draw.table("slots", "H", hours)
        ids = draw.table("patients", "PT", patients, spare=draw.size + 2)
        visits = []
        for patient, slot in zip(ids[::2], slots, strict=False):
            hours[slots.index(slot)]["taken"] = True
            record = {"patient": patient, "doctor": draw.config["slots"][slot]["doctor"], "slot": slot}
            status = draw.one(("booked", "confirmed"))
            visits.append({**record, "reason": "Check-up", "urgent": False, "status": status, "vitals": None})
        draw.table("visits", "V", visits, spare=draw.size + 4)
        draw.table("prescriptions", "RX", (), spare=draw.size + 4)
        draw.table("bills", "B", (), spare=draw.size + 4)
        return draw.config
